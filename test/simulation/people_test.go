package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// accept is an agent's accept of a task.
type accept struct {
	at   time.Time
	task string
}

// talk is a customer with a conversation, and the agents who serve it. What they do is known here, beside what the
// simulator keeps, so that the checker can tell who wrote what.
type talk struct {
	w    *world
	draw *rand.Rand
	name string

	mu        sync.Mutex
	workspace *workspace
	started   twiliosim.Started
	channel   string
	queue     string
	plain     bool
	said      []utterance
	accepts   []accept
	// untouchable is since when nobody may touch the conversation, and why; zero: it may be touched.
	untouchable time.Time
	why         string
	// crm is what another program keeps on the task.
	crm int
	// held is since when the task is held; zero: it is not. unheld is when the last hold was removed.
	held, unheld time.Time
	// ended is when a write of the operator's has ended the last task; zero when somebody has written or accepted since.
	ended time.Time
	// calledAt is when Twilio last told a replica that the conversation has become inactive.
	calledAt time.Time
	// planted is what others have put on the customer's conversations.
	planted map[string]planted
}

// planted is what others have put on a conversation.
type planted struct {
	webhooks    []twiliosim.WebhookState
	closedAfter time.Duration
}

// utterance is a message of a person.
type utterance struct {
	at       time.Time
	customer bool
}

const holdAttribute = "inactivityHold"

// gather has some customers begin at about the same moment, who are accepted at once and then fall silent: what they are due
// for comes at one moment. Afterwards they are as others are.
func (w *world) gather(draw *rand.Rand) {
	last := oneOf(draw, w.calm, w.silent.Add(-longestTimeout))
	w.wait(w.begun.Add(between(draw, 0, last.Sub(w.begun))))
	from := w.workspaces[draw.IntN(len(w.workspaces))]
	for i := range 2 + draw.IntN(4) {
		name := fmt.Sprintf("+1500666%04d", i)
		t := &talk{w: w, draw: w.dice.roll("talk " + name), name: name, workspace: from, channel: "sms", planted: map[string]planted{}}
		w.busy.Go(func() {
			time.Sleep(between(t.draw, time.Second, 20*time.Second))
			if w.isSilent() || !t.begin() {
				return
			}
			time.Sleep(between(t.draw, time.Second, 10*time.Second))
			t.act(t.draw, "an agent accepts")
			w.wait(time.Now().Add(between(t.draw, longestTimeout, longestTimeout+time.Hour)))
			t.goOn()
		})
	}
}

// live plays the talk until it is over.
func (t *talk) live() {
	w := t.w
	time.Sleep(between(t.draw, time.Second, w.calm.Sub(w.begun)/2))
	t.workspace, t.planted = w.workspaces[t.draw.IntN(len(w.workspaces))], map[string]planted{}
	t.channel, t.queue = oneOf(t.draw, "sms", "sms", "whatsapp", "web"), oneOf(t.draw, "", "", "Sales")
	t.plain = chance(t.draw, 0.2)
	if !w.isSilent() && t.begin() {
		t.goOn()
	}
}

// goOn plays what happens to a customer who has begun, one conversation after the other.
func (t *talk) goOn() {
	w := t.w
	for !w.isSilent() {
		what := t.next(t.draw)
		pause := between(t.draw, time.Second, oneOf(t.draw, 20*time.Second, 2*time.Minute, 10*time.Minute))
		switch {
		case what != "":
			pause = between(t.draw, time.Second, oneOf(t.draw, 10*time.Second, time.Minute, 5*time.Minute, time.Hour))
		case chance(t.draw, 0.35):
			// The worst moment to come back is when a timeout is nearly over, or just over.
			pause = oneOf(t.draw, 2*time.Minute, 5*time.Minute, 15*time.Minute, 30*time.Minute, time.Hour, 90*time.Minute) + between(t.draw, -5*time.Second, time.Minute)
		}
		time.Sleep(pause)
		switch {
		case w.isSilent():
			return
		case t.isClosed():
			if !t.begin() {
				return
			}
		default:
			t.act(t.draw, what)
		}
	}
}

// begin has the customer write.
func (t *talk) begin() bool {
	started, err := t.w.twilio.StartConversationWith(twiliosim.Start{
		WorkspaceSID: t.workspace.sid, Channel: t.channel, From: t.name, Body: "Hello", Queue: t.queue, Plain: t.plain, Attributes: map[string]any{"crm": t.crm},
	})
	if err != nil {
		t.w.wrong("the customer cannot begin: %v", err)
		return false
	}
	t.w.tally.count("conversations", 1)
	t.mu.Lock()
	t.started, t.accepts, t.untouchable, t.held, t.unheld = started, nil, time.Now(), time.Time{}, time.Time{}
	t.calledAt, t.ended = time.Time{}, time.Time{}
	t.why = "no agent has accepted"
	t.said = []utterance{{at: time.Now(), customer: true}}
	t.mu.Unlock()
	t.w.mu.Lock()
	t.w.talks[started.ConversationSID], t.w.tasks[started.TaskSID] = t, started.ConversationSID
	t.w.mu.Unlock()
	t.w.tell("%s begins %s in %s on %s in %q, plain %t: task %s", t.name, started.ConversationSID, t.workspace.name, t.channel, t.queue, t.plain, started.TaskSID)
	return true
}

// now is what the talk is about now.
func (t *talk) now() twiliosim.Started {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.started
}

// next is what happens before long to a conversation that no agent has: where nothing else does, the talk goes on.
func (t *talk) next(draw *rand.Rand) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return oneOf(draw, map[string][]string{
		"":                      {""},
		"no agent has accepted": {"", "an agent accepts", "an agent accepts", "an agent accepts"},
		"being transferred":     {"", "an agent accepts"},
		"paused":                {"", "the agent resumes", "the customer writes"},
		"left":                  {"", "the customer writes"},
		"wrapping up":           {"", "the agent completes", "the customer writes"},
		"completed":             {"", "the conversation is closed"},
	}[t.why]...)
}

func (t *talk) isClosed() bool {
	seen, _ := t.w.checker.look(t.now().ConversationSID)
	return seen.State == "closed"
}

// acts are what people do, by weight.
var acts = []struct {
	weight int
	what   string
}{
	{14, "the customer writes"}, {16, "the agent writes"}, {10, "an agent accepts"}, {3, "a program writes"}, {4, "another program changes the task"},
	{2, "the agent transfers"}, {1, "the agent leaves"}, {1, "the agent pauses"}, {3, "the agent resumes"}, {2, "the task is held"},
	{3, "the hold is removed"}, {1, "the agent wraps up"}, {1, "the agent completes"}, {1, "an agent rejects"}, {1, "another program adds a webhook"},
	{1, "another program sets a timer"},
}

// act has somebody do something; what nobody can do now is left.
func (t *talk) act(draw *rand.Rand, what string) {
	if what == "" {
		total := 0
		for _, act := range acts {
			total += act.weight
		}
		for n, i := draw.IntN(total), 0; n >= 0; i++ {
			n -= acts[i].weight
			what = acts[i].what
		}
	}
	err := t.does(what)
	if err == nil {
		t.w.tally.count("acts of people", 1)
		t.w.tell("%s: %s", t.name, what)
	}
}

// does has somebody do something. An error says that it cannot be done now.
func (t *talk) does(what string) error {
	twilio, sid := t.w.twilio, t.now().ConversationSID
	seen, tasks := t.w.checker.look(sid)
	if seen.State == "closed" {
		return fmt.Errorf("%s is closed", sid)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch what {
	case "the customer writes":
		return t.says(twilio, twiliosim.Customer)
	case "the agent writes":
		return t.says(twilio, twiliosim.Agent)
	case "a program writes":
		_, err := twilio.Post(sid, "bot", "Your number in the queue is 3.")
		return err
	case "another program changes the task":
		t.crm++
		return twilio.SetTaskAttribute(t.started.TaskSID, "crm", t.crm)
	case "the conversation is closed":
		return t.close()
	case "another program adds a webhook":
		return t.plantWebhook(twilio, sid)
	case "another program sets a timer":
		return t.plantTimer(sid)
	case "an agent accepts":
		return t.accept(twilio)
	case "an agent rejects":
		return t.reject(twilio)
	case "the agent transfers":
		return t.waits(twilio.Transfer(sid))
	case "the agent leaves":
		return t.aside("left", twilio.Leave(sid))
	case "the agent pauses":
		return t.aside("paused", twilio.Pause(sid))
	case "the agent resumes":
		started, err := twilio.Resume(sid)
		if err == nil {
			t.touchable(started)
		}
		return err
	case "the task is held":
		if err := twilio.SetTaskAttribute(t.started.TaskSID, holdAttribute, true); err != nil {
			return err
		}
		if t.held.IsZero() {
			t.held = time.Now()
		}
		return nil
	case "the hold is removed":
		if t.held.IsZero() {
			return fmt.Errorf("there is no hold")
		}
		t.held, t.unheld = time.Time{}, time.Now()
		return twilio.RemoveTaskAttribute(t.started.TaskSID, holdAttribute)
	case "the agent wraps up":
		return t.aside("wrapping up", twilio.AgentWrapsUp(t.started.TaskSID))
	case "the agent completes":
		return t.aside("completed", twilio.AgentCompletes(t.started.TaskSID))
	}
	return fmt.Errorf("%d tasks: %q is nothing that people do", len(tasks), what)
}

func (t *talk) says(twilio *twiliosim.Simulator, who string) error {
	if err := twilio.Say(t.started.ConversationSID, who, "Hm."); err != nil {
		return err
	}
	t.w.tally.count("messages of people", 1)
	t.said, t.ended = append(t.said, utterance{at: time.Now(), customer: who == twiliosim.Customer}), time.Time{}
	if who == twiliosim.Customer {
		t.newTask()
	}
	return nil
}

// plantWebhook has another program add a webhook.
func (t *talk) plantWebhook(twilio *twiliosim.Simulator, sid string) error {
	added, err := twilio.AddWebhook(sid, othersURL, "onMessageAdded")
	if err != nil {
		return err
	}
	seen, _ := t.w.checker.look(sid)
	is := func(webhook twiliosim.WebhookState) bool { return webhook.SID == added }
	plants := t.planted[sid]
	plants.webhooks = append(plants.webhooks, seen.Webhooks[slices.IndexFunc(seen.Webhooks, is)])
	t.planted[sid] = plants
	return nil
}

// plantTimer has another program set the timer that closes a conversation, for a time that never comes.
func (t *talk) plantTimer(sid string) error {
	if err := t.w.asOther("/v1/Conversations/"+sid, url.Values{"Timers.Closed": {"PT1000H"}}); err != nil {
		return err
	}
	plants := t.planted[sid]
	plants.closedAfter = 1000 * time.Hour
	t.planted[sid] = plants
	return nil
}

// newTask takes note of the task that Flex makes when a customer writes whose agent has left.
func (t *talk) newTask() {
	_, tasks := t.w.checker.look(t.started.ConversationSID)
	for _, task := range tasks {
		for _, reservation := range task.Reservations {
			if reservation.Status == "pending" && task.SID != t.started.TaskSID {
				t.started.TaskSID, t.started.ReservationSID = task.SID, reservation.SID
				t.w.mu.Lock()
				t.w.tasks[task.SID] = t.started.ConversationSID
				t.w.mu.Unlock()
			}
		}
	}
}

func (t *talk) accept(twilio *twiliosim.Simulator) error {
	if err := twilio.Accept(t.started.ReservationSID); err != nil {
		return err
	}
	t.touchable(t.started)
	return nil
}

// reject has an agent reject the reservation, and the task offered to the next one.
func (t *talk) reject(twilio *twiliosim.Simulator) error {
	if err := twilio.Reject(t.started.ReservationSID); err != nil {
		return err
	}
	reservation, err := twilio.Offer(t.started.TaskSID)
	if err == nil {
		t.started.ReservationSID = reservation
	}
	return err
}

// touchable: an agent has the conversation now.
func (t *talk) touchable(started twiliosim.Started) {
	t.started, t.untouchable, t.why, t.ended = started, time.Time{}, "", time.Time{}
	t.accepts = append(t.accepts, accept{time.Now(), started.TaskSID})
	_, tasks := t.w.checker.look(started.ConversationSID)
	if !slices.ContainsFunc(tasks, isHeld) {
		t.held = time.Time{} // what was on another task is not on this one
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.tasks[started.TaskSID] = started.ConversationSID
}

// waits is a transfer: it waits for the next agent.
func (t *talk) waits(started twiliosim.Started, err error) error {
	if err == nil {
		t.started = started
		t.w.mu.Lock()
		t.w.tasks[started.TaskSID] = started.ConversationSID
		t.w.mu.Unlock()
	}
	return t.aside("being transferred", err)
}

// close has the desktop close the conversation.
func (t *talk) close() error {
	return t.w.asOther("/v1/Conversations/"+t.started.ConversationSID, url.Values{"State": {"closed"}})
}

// aside: nobody may touch the conversation from now on.
func (t *talk) aside(why string, err error) error {
	if err == nil && t.untouchable.IsZero() {
		t.untouchable, t.why = time.Now(), why
	}
	return err
}

// mischief has somebody do something to the conversation that a write is about, at the worst moment.
func (w *world) mischief(draw *rand.Rand, request *http.Request) {
	t := w.checker.talk(w.checker.about(&attempt{path: request.URL.Path}))
	if t == nil {
		return
	}
	what := oneOf(draw, "the customer writes", "the customer writes", "the agent writes", "another program changes the task", "the agent transfers",
		"the task is held", "the agent pauses", "the agent leaves", "the agent wraps up", "a program writes")
	if t.act(draw, what); what == "the agent pauses" && chance(draw, 0.5) {
		t.act(draw, "the agent resumes") // before Twilio's lists have the new task
	}
}
