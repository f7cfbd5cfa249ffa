package inactivity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// How the operator's controllers behave, as far as histories depend on it.
const (
	historyNewest   = 4                // messages that a look reads at first: few, so that there often are more
	historyPatience = 25 * time.Second // how long a round may take
	historyFresh    = 15 * time.Second // how old an accept may be to count as an observation
	historySlack    = 30 * time.Second // how much later than planned the leader looks
	historySteps    = 24               // decisions of a round
)

var (
	errHistoryChanged = errors.New("the conversation has changed meanwhile")
	errHistoryFailed  = errors.New("the call has failed")
)

// historyReplica is a replica of the operator; the first is the leader.
type historyReplica struct {
	// skew is how far its clock is off from Twilio's.
	skew      time.Duration
	round     *historyRound
	lookAt    time.Time // by its own clock; zero: it has no plan
	waiting   *historyAccept
	announced bool
	heard     []string // reservations
}

// historyDeed is one write of the operator's to Twilio, with what the replica knew when it decided on it.
type historyDeed struct {
	seq   int
	round *historyRound
	// what is written: a claim, a text, timer, webhook, channel, task or close.
	what string
	step Step
	// before says which warning it is; template that the text is one.
	before   time.Duration
	template bool
	// decided is the decision's clock, asked when Twilio was, and landed when it was done.
	decided, asked, landed time.Time
	knew                   historyView
	by                     historyForce
	author, attributes     string
}

func (d *historyDeed) String() string {
	return fmt.Sprintf("%s %s %s of %s, decided at %s", d.what, d.step, d.before, d.by.name, d.decided.Format("15:04:05"))
}

// historyRound is a replica's look at the conversation with the acts that follow, one call to Twilio after the other. It
// follows the conversation reconciler's pass.
type historyRound struct {
	w        *world
	replica  *historyReplica
	began    time.Time
	policies []Policy
	forces   []historyForce
	owner    int // -1: not chosen yet
	snapshot Snapshot
	accepted *historyAccept
	// announced: an accept event has led to the round.
	announced bool
	// knew is what the round could know: what it has read, and as to what it has not, what was true when it began.
	knew      historyView
	calls     []func() error
	then      func() // when the calls are done
	seenAt    time.Time
	decisions int
	over      bool
}

// hear delivers an accept event.
func (w *world) hear(replica int, accept historyAccept) {
	r := &w.replicas[replica]
	r.announced = true
	if age := w.now.Add(r.skew).Sub(accept.At).Abs(); age > historyFresh || slices.Contains(r.heard, accept.ReservationSID) {
		return
	}
	r.heard = append(r.heard, accept.ReservationSID)
	r.waiting = &accept
}

// begin begins a round, unless the replica has one under way.
func (w *world) begin(replica int) *historyRound {
	r := &w.replicas[replica]
	if r.round != nil {
		return nil
	}
	round := &historyRound{w: w, replica: r, began: w.now, owner: -1}
	var others []Policy
	var before types.UID
	for _, policy := range w.policies {
		others = append(others, policy.compiled.TakeEffect(policy.object, others))
		round.forces = append(round.forces, historyForce{name: policy.compiled.Name, terms: policy.terms, since: policy.since(before)})
		before = policy.object.UID
	}
	round.policies = others
	waiting := r.waiting
	round.announced, r.announced, r.waiting = r.announced, false, nil
	if waiting != nil && w.now.Add(r.skew).Sub(waiting.At).Abs() <= historyFresh {
		round.observe(waiting)
	} else {
		round.calls = []func() error{round.startOver}
	}
	r.round = round
	return round
}

// lookThrough has a replica look, to the end of its round. It reports whether something was written.
func (w *world) lookThrough(replica int) bool {
	round, deeds := w.begin(replica), len(w.deeds)
	for round != nil && !round.over {
		round.step()
	}
	return len(w.deeds) > deeds
}

// step decides, or makes the next call that was decided on.
func (r *historyRound) step() {
	w := r.w
	switch {
	case r.over:
		return
	case w.now.Sub(r.began) > historyPatience:
		r.fail("takes too long")
		return
	case len(r.calls) == 0:
		r.decide()
		return
	}
	call := r.calls[0]
	r.calls = r.calls[1:]
	if w.faulty("unavailable") {
		r.fail("cannot reach Twilio")
		return
	}
	switch err := call(); {
	case errors.Is(err, errHistoryChanged):
		w.tell("replica has to start over")
		r.calls, r.then = []func() error{r.startOver}, nil
	case err != nil:
		r.fail("gets no answer")
	case len(r.calls) == 0 && r.then != nil:
		r.then()
		r.then = nil
	}
}

// faulty reports whether a fault is due, and ends it.
func (w *world) faulty(fault string) bool {
	if w.fault != fault {
		return false
	}
	w.fault = ""
	return true
}

// fail ends the round with an error, or with the replica.
func (r *historyRound) fail(why string) {
	r.w.tell("the round of a replica %s", why)
	if r.announced {
		r.replica.announced = true
		if r.replica.waiting == nil {
			r.replica.waiting = r.accepted
		}
	}
	r.end()
}

func (r *historyRound) end() { r.over, r.replica.round = true, nil }

// observe begins with what an accept event says.
func (r *historyRound) observe(accept *historyAccept) {
	r.accepted = accept
	r.knew, r.seenAt = accept.knew, r.w.now.Add(r.replica.skew)
	r.snapshot = Snapshot{Now: accept.At, JustAccepted: true, Tasks: []Task{{
		SID: accept.TaskSID, Status: TaskStatus(accept.AssignmentStatus), Attributes: r.w.parse(accept.Attributes), Queue: accept.TaskQueueName,
		Created: accept.At.Add(-accept.TaskAge), Accepted: &Reservation{SID: accept.ReservationSID, At: accept.At}, ReservationsSeen: true,
	}}}
}

// startOver looks at the tasks, as a list shows them: without ETags.
func (r *historyRound) startOver() error {
	r.snapshot, r.owner = Snapshot{Announced: r.announced}, -1
	r.knew = r.w.see()
	for _, task := range r.w.existing() {
		seen := r.task(task)
		seen.ETag = ""
		r.snapshot.Tasks = append(r.snapshot.Tasks, seen)
	}
	r.tick()
	return nil
}

func (r *historyRound) task(task *historyTask) Task {
	return Task{SID: task.sid, Status: task.status, Attributes: r.w.parse(task.attributes), Queue: task.queue,
		ETag: fmt.Sprint(task.version), Created: task.created}
}

// parse reads attributes; the same ones once, because that is what histories would spend most of their time on.
func (w *world) parse(attributes string) TaskAttributes {
	known, found := w.parsed[attributes]
	if !found {
		var err error
		if known, err = ParseTaskAttributes(attributes); err != nil {
			w.Fatalf("%v", err)
		}
		w.parsed[attributes] = known
	}
	return known
}

// tick takes over Twilio's clock.
func (r *historyRound) tick() { r.snapshot.Now, r.seenAt = r.w.now, r.w.now.Add(r.replica.skew) }

// refresh puts a task as it is into what is known.
func (r *historyRound) refresh(task *historyTask) {
	for i := range r.snapshot.Tasks {
		if known := &r.snapshot.Tasks[i]; known.SID == task.sid {
			fresh := r.task(task)
			fresh.Accepted, fresh.ReservationsSeen = known.Accepted, known.ReservationsSeen
			*known = fresh
		}
	}
	r.knew.tasks = slices.Clone(r.knew.tasks)
	for i := range r.knew.tasks {
		if r.knew.tasks[i].sid == task.sid {
			r.knew.tasks[i] = *task
		}
	}
}

func (w *world) find(sid string) *historyTask {
	for _, task := range w.existing() {
		if task.sid == sid {
			return task
		}
	}
	return nil
}

// choose finds the policy that owns the conversation; the one that the newest marker names when there is no task any more.
func (r *historyRound) choose() bool {
	if len(r.snapshot.Tasks) == 0 {
		if r.snapshot.Messages == nil && r.readMessages(historyNewest) != nil {
			return false
		}
		for _, message := range r.snapshot.Messages.Newest {
			if message.Marker != nil {
				r.owner = slices.IndexFunc(r.policies, func(p Policy) bool { return p.Name == message.Marker.Policy })
				return r.owner >= 0
			}
		}
		return false
	}
	var err error
	if r.owner, err = Owner(r.policies, r.snapshot.Tasks, r.snapshot.Now); err != nil {
		r.w.Fatalf("%v", err)
	}
	return r.owner >= 0
}

func (r *historyRound) decide() {
	if r.decisions++; r.decisions > historySteps {
		r.w.wrong("I8: a round does not come to an end")
		r.end()
		return
	}
	if r.owner < 0 && !r.choose() {
		r.end()
		return
	}
	policy := r.policies[r.owner]
	if r.forces[r.owner].terms.managed {
		policy.WebhookURL = historyWebhook
	}
	decision := Decide(policy, r.snapshot)
	if decision.Act != ActLook {
		r.w.tell("replica %t decides %s: %s, next %s", r.replica == &r.w.replicas[0], decision.Act, decision.Reason, decision.Next.Format("15:04:05"))
	}
	switch decision.Act {
	case ActNone:
		r.plan(decision)
	case ActLook:
		r.look(decision)
	case ActArm, ActRearm:
		r.arm(decision)
	case ActWarn, ActHoldingText, ActNotice:
		r.send(policy, decision)
	case ActClaim:
		r.calls = []func() error{func() error { return r.claim(decision, decision.Claim) }}
		r.then = r.lookAtMessagesAgain
	case ActFinish:
		r.finish(decision)
	case ActCloseConversation:
		r.calls = []func() error{r.close}
	default:
		r.w.Fatalf("%q is no act", decision.Act)
	}
}

// plan ends the round, with a plan for the next.
func (r *historyRound) plan(decision Decision) {
	r.end()
	if decision.Next.IsZero() {
		r.replica.lookAt = time.Time{}
		return
	}
	lookAt, leads := r.seenAt.Add(decision.Next.Sub(r.snapshot.Now)), r.replica == &r.w.replicas[0]
	switch {
	case leads && !decision.Due:
		lookAt = lookAt.Add(historySlack)
	case !leads && (!decision.Due || lookAt.Sub(r.seenAt) >= time.Minute):
		return
	}
	r.replica.lookAt = latest(lookAt, r.w.now.Add(r.replica.skew).Add(time.Second))
}

// look reads what the decision asks for.
func (r *historyRound) look(decision Decision) {
	w := r.w
	if r.snapshot.JustAccepted && decision.Need != NeedWebhooks {
		r.calls = []func() error{r.startOver}
		return
	}
	for _, part := range []struct {
		need Need
		read func() error
	}{
		{NeedReservations, r.readReservations},
		{NeedConversation, r.readConversation},
		{NeedMessages, func() error { return r.readMessages(historyNewest) }},
		{NeedAllMessages, func() error { return r.readMessages(len(w.messages)) }},
		{NeedChannels, r.readChannels},
		{NeedWebhooks, func() error { r.snapshot.Webhooks = &Webhooks{URLs: slices.Clone(w.webhooks)}; return nil }},
		{NeedParticipants, func() error { r.snapshot.Participants = w.present(); return nil }},
		{NeedTask, func() error { return r.readTask(decision.TaskSID) }},
	} {
		if decision.Need.Has(part.need) {
			r.calls = append(r.calls, part.read)
		}
	}
	if len(r.calls) == 0 {
		w.Fatalf("Look at nothing: %+v", decision)
	}
	r.then = r.tick
}

func (r *historyRound) readReservations() error {
	for i := range r.snapshot.Tasks {
		seen := &r.snapshot.Tasks[i]
		if seen.Status != TaskAssigned || seen.ReservationsSeen {
			continue
		}
		seen.ReservationsSeen = true
		// The reservation of a task that has ended since is not accepted any more.
		if task := r.w.find(seen.SID); task != nil && task.isLive() {
			seen.Accepted = &Reservation{SID: task.reservation, At: task.accepted}
		} else {
			r.knew.tasks = slices.DeleteFunc(slices.Clone(r.knew.tasks), func(known historyTask) bool { return known.sid == seen.SID })
		}
	}
	return nil
}

func (r *historyRound) readTask(sid string) error {
	task := r.w.find(sid)
	if task == nil {
		return errHistoryChanged
	}
	r.refresh(task)
	return nil
}

func (r *historyRound) readChannels() error {
	r.snapshot.Channels, r.knew.channel = map[ChannelRef]ChannelStatus{historyChannel: r.w.channel}, r.w.channel
	return nil
}

func (r *historyRound) readConversation() error {
	r.snapshot.Conversation = r.w.conversation()
	r.knew.state, r.knew.hold = r.w.state, r.w.hold
	return nil
}

func (w *world) conversation() *Conversation {
	seen := &Conversation{State: w.state, Attributes: w.conversationAttributes()}
	if w.state == ConversationActive && !w.inactiveAt.IsZero() {
		seen.DateInactive = new(w.inactiveAt)
	}
	return seen
}

func (r *historyRound) readMessages(limit int) error {
	all := r.w.messages
	r.knew.messages = slices.Clip(all)
	seen := &Messages{More: limit < len(all)}
	for i := len(all) - 1; i >= max(0, len(all)-limit); i-- {
		seen.Newest = append(seen.Newest, all[i].Message)
	}
	r.snapshot.Messages = seen
	return nil
}

// lookAtMessagesAgain: what was known of the messages does not do any more.
func (r *historyRound) lookAtMessagesAgain() {
	r.snapshot.Messages = nil
	r.knew.messages = r.w.see().messages
}
