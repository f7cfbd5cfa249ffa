package inactivity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// historyWebhook is the operator's webhook, and historyCustomer the customer's address on a messaging channel.
const (
	historyWebhook  = "https://callbacks.example.com/v1/conversations/WS1"
	historyCustomer = "+15550001111"
)

var historyChannel = ChannelRef{InteractionSID: "KD1", ChannelSID: "UO1"}

// historyWriter is who has written a message in truth, however Twilio shows it.
type historyWriter string

const (
	theCustomer historyWriter = "customer"
	anAgent     historyWriter = "agent"
	aProgram    historyWriter = "program"
	theOperator historyWriter = "operator"
)

// historyMessage is a message. seq orders all that happens, also within a second.
type historyMessage struct {
	Message
	seq  int
	who  historyWriter
	deed *historyDeed // of the operator's messages
}

// historyTask is a task as it is in truth.
type historyTask struct {
	sid, queue, reservation  string
	status                   TaskStatus
	created, accepted, ended time.Time
	made, seq                int // when it was created, and accepted
	hold                     any
	// interaction says that an interaction channel made it.
	interaction bool
	attributes  string
	version     int
}

// isLive says whether an agent has the task.
func (k historyTask) isLive() bool { return k.status == TaskAssigned }

// set changes an attribute, as other programs do.
func (k *historyTask) set(key string, value any) {
	attributes := map[string]any{}
	if err := json.Unmarshal([]byte(k.attributes), &attributes); err != nil {
		panic(err)
	}
	if attributes[key] = value; value == nil {
		delete(attributes, key)
	}
	encoded, err := json.Marshal(attributes)
	if err != nil {
		panic(err)
	}
	k.attributes = string(encoded)
	k.version++
}

// historyAccept is the event of an accept, with what was true when it happened.
type historyAccept struct {
	Acceptance
	knew historyView
}

// historyView is what is true of the conversation, or what a replica could know of it.
type historyView struct {
	tasks    []historyTask
	messages []historyMessage
	channel  ChannelStatus
	state    ConversationState
	hold     any
}

// historyFlight is a message that is still on its way into the conversation.
type historyFlight struct {
	lands time.Time
	deed  *historyDeed
}

// historyConnection is how the customer is connected, and how that shows.
type historyConnection struct {
	// channelType is sms, whatsapp or web.
	channelType string
	// named is how many tasks name the customer: transfers do not carry the attributes over unless a program does it.
	named int
	// guest: the customer's participant is marked as a guest. plain: tasks were not made by an interaction. outbound: an
	// agent begins, and the customer has not written yet.
	guest, plain, outbound bool
}

// historyDialect is what Twilio's documents leave open.
type historyDialect struct {
	// restRestarts and restReactivates: what a message over REST does to the timer and to an inactive conversation.
	restRestarts, restReactivates bool
	// closingCloses: closing the interaction channel closes the conversation.
	closingCloses bool
}

// world is one conversation in Twilio with its people, its tasks and other programs, in virtual time, two replicas of the
// operator that look at it, and the policies. Everything happens in one goroutine, one call after the other.
type world struct {
	rapid.TB
	historyDialect
	now     time.Time
	seq     int
	story   []string
	channel ChannelStatus
	historyConnection
	tasks        []*historyTask
	messages     []historyMessage
	participants map[string]Participant
	state        ConversationState
	timer        time.Duration
	inactiveAt   time.Time // zero: no timer runs
	hold         any
	webhooks     []string
	policies     []*historyPolicy // by precedence; the last is always there
	replicas     [2]historyReplica
	accepts      []historyAccept // events that are still to be delivered
	flights      []historyFlight
	fault        string
	refuses      map[Step]bool
	refusals     []*historyDeed
	// timersArrive and plansArrive: Twilio's timer wakes the operator, and the leader keeps to its plans.
	timersArrive, plansArrive bool
	wakes                     []int // the replicas that the timer's events reach
	deeds                     []*historyDeed
	parsed                    map[string]TaskAttributes
	problems                  []string
}

// tell adds a line to the story that is printed when a history has gone wrong.
func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, w.now.Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
}

// wrong notes that an invariant does not hold.
func (w *world) wrong(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
	w.tell("!!! "+format, args...)
}

func (w *world) next() int { w.seq++; return w.seq }

// existing are the tasks that Twilio has: ended ones are deleted after five minutes, assigned ones after a day.
func (w *world) existing() []*historyTask {
	return slices.DeleteFunc(slices.Clone(w.tasks), func(k *historyTask) bool {
		return !k.ended.IsZero() && !w.now.Before(k.ended.Add(5*time.Minute)) ||
			k.isLive() && !w.now.Before(k.accepted.Add(24*time.Hour))
	})
}

func (w *world) with(status ...TaskStatus) []*historyTask {
	return slices.DeleteFunc(w.existing(), func(k *historyTask) bool { return !slices.Contains(status, k.status) })
}

// see is the truth.
func (w *world) see() historyView {
	view := historyView{channel: w.channel, state: w.state, hold: w.hold}
	view.messages = slices.Clip(w.messages)
	for _, task := range w.existing() {
		view.tasks = append(view.tasks, *task)
	}
	return view
}

// advance lets time pass, with what happens by itself meanwhile.
func (w *world) advance(to time.Time) {
	for {
		at, happen := to, func() {}
		earlier := func(moment time.Time, do func()) {
			if !moment.IsZero() && moment.Before(at) {
				at, happen = moment, do
			}
		}
		if w.state == ConversationActive {
			earlier(w.inactiveAt, w.fire)
		}
		for i := range w.flights {
			earlier(w.flights[i].lands, func() {
				flight := w.flights[i]
				w.flights = slices.Delete(w.flights, i, i+1)
				w.land(flight.deed)
			})
		}
		for i := range w.replicas {
			replica := &w.replicas[i]
			if lookAt := replica.lookAt; !lookAt.IsZero() {
				earlier(lookAt.Add(-replica.skew), func() {
					if replica.lookAt = (time.Time{}); w.plansArrive {
						w.tell("replica %d looks as it planned", i)
						w.lookThrough(i)
					}
				})
			}
		}
		if !at.Before(to) {
			w.now = to
			return
		}
		w.now = latest(w.now, at)
		happen()
	}
}

// fire makes the conversation inactive, and wakes a replica unless the event is lost.
func (w *world) fire() {
	w.state, w.inactiveAt = ConversationInactive, time.Time{}
	w.tell("the timer fires")
	if w.timersArrive {
		w.lookThrough(pick(w.seq, w.wakes))
	}
}

func latest(moments ...time.Time) time.Time {
	return slices.MaxFunc(moments, time.Time.Compare)
}

// say puts a message into the conversation.
func (w *world) say(who historyWriter, author, participant, attributes string) *historyMessage {
	index := len(w.messages)
	w.messages = append(w.messages, historyMessage{
		Message: Message{SID: fmt.Sprintf("IM%d", index), Index: index, Author: author, ParticipantSID: participant, At: w.now, Marker: ParseMarker(attributes)},
		seq:     w.next(), who: who,
	})
	if (participant != "" || w.restRestarts) && w.timer > 0 && (w.state == ConversationActive || participant != "" || w.restReactivates) {
		w.inactiveAt = w.now.Add(w.timer)
	}
	if participant != "" || w.restReactivates {
		w.state = ConversationActive
	}
	return &w.messages[index]
}

// land puts a text of the operator's into the conversation.
func (w *world) land(deed *historyDeed) {
	if w.state == ConversationClosed {
		return
	}
	message := w.say(theOperator, deed.author, "", deed.attributes)
	message.deed, deed.seq, deed.landed = deed, message.seq, w.now
	w.deeds = append(w.deeds, deed)
	w.tell("the operator's %s arrives", deed)
}

// identity and address are what Twilio shows of the customer.
func (w *world) identity() string {
	if w.isWeb() {
		return "guest-1"
	}
	return historyCustomer
}

func (w *world) isWeb() bool { return w.channelType == "web" }

// isUnsigned says whether nothing shows who of those who take part is the customer, once the first task is gone. What the
// operator does then may cost an agent's time, and never a customer who waits.
func (w *world) isUnsigned() bool { return w.isWeb() && !w.guest && w.named < everyTask }

const everyTask = 1000

// customerWrites also brings a conversation back that its agent has left.
func (w *world) customerWrites(attributes string) {
	if w.state == ConversationClosed || w.channel == ChannelClosed && w.closingCloses {
		return
	}
	w.say(theCustomer, w.identity(), "MB-customer", attributes)
	w.tell("the customer writes %s", attributes)
	if w.channel == "inactive" {
		w.channel = ChannelActive
		w.invite(queueSupport)
	}
}

// agentWrites as the agent of the newest live task.
func (w *world) agentWrites() {
	if live := w.with(TaskAssigned); len(live) > 0 && w.state != ConversationClosed {
		agent := "agent-of-" + live[len(live)-1].sid
		w.say(anAgent, agent, "MB-"+agent, "")
		w.tell("%s writes", agent)
	}
}

// programWrites as a bot or as Twilio itself.
func (w *world) programWrites(author string) {
	if w.state != ConversationClosed {
		w.say(aProgram, author, "", "")
		w.tell("%s writes", author)
	}
}

// invite makes a task for the conversation.
func (w *world) invite(queue string) *historyTask {
	task := &historyTask{
		sid: fmt.Sprintf("WT%02d", len(w.tasks)+1), queue: queue, status: TaskPending, created: w.now, made: w.next(), version: 1,
		interaction: !w.plain, attributes: `{"conversationSid":"CH1","kept":[1,"<&>"]}`,
	}
	task.set("channelType", w.channelType)
	if task.interaction {
		task.set("flexInteractionSid", historyChannel.InteractionSID)
		task.set("flexInteractionChannelSid", historyChannel.ChannelSID)
	}
	if len(w.tasks) < w.named {
		task.set("customerAddress", w.identity())
	}
	w.tasks = append(w.tasks, task)
	w.tell("task %s waits in %s", task.sid, queue)
	return task
}

// accept gives the oldest waiting task to an agent, and makes the event of it.
func (w *world) accept() bool {
	waiting := w.with(TaskPending)
	if len(waiting) == 0 || w.state == ConversationClosed {
		return false
	}
	task := waiting[0]
	task.status, task.accepted, task.reservation, task.seq = TaskAssigned, w.now, "WR-"+task.sid, w.next()
	task.version++
	w.participants["MB-agent-of-"+task.sid] = Participant{Identity: "agent-of-" + task.sid, Attributes: "{}", Joined: w.now}
	if w.channel != ChannelClosed {
		w.channel = ChannelActive
	}
	w.tell("an agent accepts %s", task.sid)
	w.accepts = append(w.accepts, historyAccept{knew: w.see(), Acceptance: Acceptance{
		TaskSID: task.sid, ReservationSID: task.reservation, Attributes: task.attributes, AssignmentStatus: string(TaskAssigned),
		TaskQueueName: task.queue, TaskAge: w.now.Sub(task.created), At: w.now,
	}})
	return true
}

// end ends an agent's part.
func (w *world) end(task *historyTask, status TaskStatus) {
	task.status = status
	task.version++
	if status != TaskWrapping {
		task.ended = w.now
	}
	delete(w.participants, "MB-agent-of-"+task.sid)
	w.tell("task %s is %s", task.sid, status)
}

// closeChannel ends the interaction, as the operator or an agent does.
func (w *world) closeChannel(complete bool) {
	w.channel = ChannelClosed
	for _, task := range w.with(TaskPending, TaskAssigned, TaskWrapping) {
		switch {
		case !task.interaction:
		case task.status == TaskPending:
			w.end(task, TaskCanceled)
		case complete:
			w.end(task, TaskCompleted)
		case task.isLive():
			w.end(task, TaskWrapping)
		}
	}
	if w.closingCloses {
		w.state = ConversationClosed
	}
}

// putAside is Flex's Leave and Pause.
func (w *world) putAside(status ChannelStatus, tasks TaskStatus) {
	if live := w.with(TaskAssigned); len(live) > 0 && w.channel == ChannelActive && w.state != ConversationClosed {
		for _, task := range live {
			if tasks != TaskAssigned {
				w.end(task, tasks)
			}
		}
		w.channel = status
		w.tell("the channel is %s", status)
	}
}

// setHold sets or removes (nil) the hold attribute on the newest task or on the conversation.
func (w *world) setHold(onTask bool, value any) {
	tasks := w.with(TaskPending, TaskAssigned, TaskWrapping)
	if !onTask {
		w.hold = value
	} else if len(tasks) > 0 {
		task := tasks[len(tasks)-1]
		task.hold = value
		task.set(historyHold, value)
	}
	w.tell("hold (task: %t) is %v", onTask, value)
}

// conversationAttributes are the conversation's as JSON text.
func (w *world) conversationAttributes() string {
	if w.hold == nil {
		return `{"other":true}`
	}
	encoded, err := json.Marshal(map[string]any{historyHold: w.hold, "other": true})
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// edit changes the terms of the policy that is always there, or of the one before it.
func (w *world) edit(what string, change func(*historyTerms)) {
	policy := w.policies[len(w.policies)-1]
	terms := policy.terms
	change(&terms)
	if err := policy.write(terms); err != nil {
		w.Fatalf("the code refuses %+v: %v", terms, err)
	}
	w.tell("edited: %s: %s", what, policy.terms)
}

// toggleSales adds or deletes a policy that takes precedence for the queue Sales.
func (w *world) toggleSales(terms historyTerms) {
	if len(w.policies) > 1 {
		w.policies = w.policies[1:]
		w.tell("the policy for Sales is deleted")
		return
	}
	sales := newHistoryPolicy("sales", types.UID(fmt.Sprintf("sales-%d", w.next())), 10, w.now)
	terms.queue = queueSales
	if err := sales.write(terms); err != nil {
		w.Fatalf("the code refuses %+v: %v", terms, err)
	}
	w.policies = append([]*historyPolicy{sales}, w.policies...)
	w.tell("a policy for Sales: %s", sales.terms)
}

// reconcile reconciles the policies.
func (w *world) reconcile() {
	var others []Policy
	var before types.UID
	for _, policy := range w.policies {
		if !policy.reconcile(w.now, others, before) {
			w.wrong("policy %s has been in effect since %s, and the code says %s", policy.object.Name, policy.settled, policy.object.Status.EffectiveSince)
		}
		others, before = append(others, policy.compiled), policy.object.UID
	}
	w.tell("the policies are reconciled")
}

func (t historyTerms) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "timeout %s, warnings %v, unanswered %s, %s", t.timeout, t.warnings, t.unanswered, t.action)
	for _, word := range []struct {
		word string
		said bool
	}{
		{"onlyCustomers", t.onlyCustomers}, {"firstUnanswered", t.firstUnanswered}, {string(t.existing), t.existing != ""}, {"holds", t.holds},
		{"openClock", t.openClock}, {"silent", t.silent}, {"suspended", t.suspended}, {"without callbacks", !t.managed},
		{"queue " + t.queue, t.queue != ""}, {"window " + string(t.window), t.window != ""}, {"author " + t.author, t.author != ""},
	} {
		if word.said {
			out.WriteString(", " + word.word)
		}
	}
	if t.hours != nil {
		fmt.Fprintf(&out, ", hours %v without %v, %s", t.hours.Weekly, t.hours.Holidays, t.closed)
	}
	return out.String()
}

// newWorld is a customer who has just written, and waits for an agent.
func newWorld(t rapid.TB, begin time.Time, terms historyTerms, dialect historyDialect, connection historyConnection) *world {
	w := &world{
		TB: t, historyDialect: dialect, now: begin, channel: ChannelActive, historyConnection: connection, state: ConversationActive,
		refuses: map[Step]bool{}, parsed: map[string]TaskAttributes{}, timersArrive: true, plansArrive: true, wakes: []int{0, 1},
	}
	customer := Participant{Joined: begin.Add(-time.Second), Attributes: "{}", Identity: w.identity()}
	if !w.isWeb() {
		customer.Identity, customer.Address = "", historyCustomer
	} else if w.guest {
		customer.Attributes = `{"member_type":"guest"}`
	}
	w.participants = map[string]Participant{"MB-customer": customer}
	w.policies = []*historyPolicy{newHistoryPolicy("plain", "plain", 0, begin)}
	w.tell("%+v, %+v", connection, dialect)
	w.edit("written", func(written *historyTerms) { *written = terms })
	w.reconcile()
	w.invite(queueSupport)
	if !w.outbound {
		w.customerWrites("")
	}
	return w
}

// clone of the participants, as a look at them gives it.
func (w *world) present() *Participants { return &Participants{BySID: maps.Clone(w.participants)} }
