package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// talk is a customer with a conversation, and the agents who serve it. What they do is known here, beside what the
// simulator keeps, so that the checker can tell who wrote what.
type talk struct {
	w    *world
	draw *rand.Rand
	name string

	mu      sync.Mutex
	started twiliosim.Started
	channel string
	queue   string
	plain   bool
	said    []utterance
	// accepts are when agents accepted.
	accepts []time.Time
	// untouchable is since when nobody may touch the conversation, and why; zero: it may be touched.
	untouchable time.Time
	why         string
	// crm is what another program keeps on the task.
	crm int
	// held is since when the task is held; zero: it is not.
	held time.Time
}

// utterance is a message of a person.
type utterance struct {
	at       time.Time
	customer bool
}

const holdAttribute = "inactivityHold"

// live plays the talk until it is over.
func (t *talk) live() {
	w := t.w
	time.Sleep(between(t.draw, time.Second, w.calm.Sub(w.begun)/2))
	t.channel, t.queue = oneOf(t.draw, "sms", "sms", "whatsapp", "web"), oneOf(t.draw, "", "", "Sales")
	t.plain = chance(t.draw, 0.2)
	if w.isCalm() || !t.begin() {
		return
	}
	for !w.isCalm() {
		pause, what := oneOf(t.draw, 20*time.Second, 2*time.Minute, 10*time.Minute, 70*time.Minute, 70*time.Minute), ""
		if t.isWaiting() {
			pause, what = oneOf(t.draw, time.Minute, time.Minute, 5*time.Minute), oneOf(t.draw, "", "", "an agent accepts")
		}
		time.Sleep(between(t.draw, time.Second, pause))
		switch {
		case w.isCalm():
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
		Channel: t.channel, From: t.name, Body: "Hello", Queue: t.queue, Plain: t.plain, Attributes: map[string]any{"crm": t.crm},
	})
	if err != nil {
		t.w.wrong("the customer cannot begin: %v", err)
		return false
	}
	t.mu.Lock()
	t.started, t.accepts, t.untouchable, t.held = started, nil, time.Now(), time.Time{}
	t.why = "no agent has accepted"
	t.said = []utterance{{at: time.Now(), customer: true}}
	t.mu.Unlock()
	t.w.mu.Lock()
	t.w.talks[started.ConversationSID], t.w.tasks[started.TaskSID] = t, started.ConversationSID
	t.w.mu.Unlock()
	t.w.tell("%s begins %s on %s in %q, plain %t: task %s", t.name, started.ConversationSID, t.channel, t.queue, t.plain, started.TaskSID)
	return true
}

// now is what the talk is about now.
func (t *talk) now() twiliosim.Started {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.started
}

// isWaiting says whether the customer waits for an agent to accept.
func (t *talk) isWaiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.untouchable.IsZero()
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
	{3, "the hold is removed"}, {1, "the agent wraps up"}, {1, "the agent completes"}, {1, "an agent rejects"},
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
	case "an agent accepts":
		return t.accept(twilio)
	case "an agent rejects":
		return t.reject(twilio)
	case "the agent transfers":
		return t.next(twilio.Transfer(sid))
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
		t.held = time.Time{}
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
	t.said = append(t.said, utterance{at: time.Now(), customer: who == twiliosim.Customer})
	if who == twiliosim.Customer {
		t.newTask()
	}
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
	t.started, t.untouchable, t.why = started, time.Time{}, ""
	t.accepts = append(t.accepts, time.Now())
	_, tasks := t.w.checker.look(started.ConversationSID)
	if !slices.ContainsFunc(tasks, func(task twiliosim.TaskState) bool { return task.Status == "assigned" && hasHold(task.Attributes) }) {
		t.held = time.Time{} // what was on another task is not on this one
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.tasks[started.TaskSID] = started.ConversationSID
}

// next is a transfer: it waits for the next agent.
func (t *talk) next(started twiliosim.Started, err error) error {
	if err == nil {
		t.started = started
		t.w.mu.Lock()
		t.w.tasks[started.TaskSID] = started.ConversationSID
		t.w.mu.Unlock()
	}
	return t.aside("being transferred", err)
}

// aside: nobody may touch the conversation from now on.
func (t *talk) aside(why string, err error) error {
	if err == nil && t.untouchable.IsZero() {
		t.untouchable, t.why = time.Now(), why
	}
	return err
}

// mischief has somebody do something to the conversation that a write is about, at the worst moment.
func (w *world) mischief(draw *rand.Rand, request *http.Request, _ []byte) {
	t := w.checker.talk(w.checker.about(&attempt{path: request.URL.Path}))
	if t == nil {
		return
	}
	t.act(draw, oneOf(draw, "the customer writes", "the customer writes", "the agent writes", "another program changes the task", "the agent transfers",
		"the task is held", "the agent pauses", "the agent leaves", "the agent wraps up", "a program writes"))
}
