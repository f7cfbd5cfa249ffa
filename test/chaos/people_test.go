//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	numberPrefix = "+1555017"
	customerText = "Where is my order, please?"
	agentText    = "One moment, I am looking."
)

// What people do.
const (
	actAccept    = "accept"
	actCustomer  = "customer writes"
	actAgent     = "agent writes"
	actHold      = "hold"
	actUnhold    = "remove the hold"
	actCRM       = "another program changes the task"
	actPause     = "pause"
	actResume    = "resume"
	actLeave     = "leave"
	actNext      = "the next agent accepts"
	actTransfer  = "transfer"
	actWrapUp    = "wrap up"
	actComplete  = "complete"
	actBeginAnew = "the customer comes back"
)

// step is one act of a script, so long after the one before it.
type step struct {
	after time.Duration
	what  string
}

// script is what becomes of a customer, by the seed alone.
type script struct {
	kind    string
	number  string
	channel string
	queue   string
	plain   bool
	begin   time.Duration // after the start
	steps   []step
	// webhook and timer say that another party has a webhook and a timer on the conversation.
	webhook, timer bool
}

// kinds are what conversations are like, by weight.
var kinds = []struct {
	weight int
	kind   string
}{
	{34, "silent"}, {24, "chatty"}, {10, "returning"}, {7, "held"}, {6, "paused"}, {4, "left"}, {7, "transferred"}, {3, "wrapped up"},
	{2, "unaccepted"}, {3, "unmatched"},
}

// pause is a pause; some of them end about when a policy acts.
func pause(draw *rand.Rand) time.Duration {
	return oneOf(draw, between(draw, time.Second, 20*time.Second), between(draw, time.Second, 20*time.Second),
		between(draw, 29*time.Second, 31*time.Second), between(draw, 59*time.Second, 61500*time.Millisecond))
}

// scripts are those of n customers, who arrive until the given moment.
func scripts(seed uint64, n int, until time.Duration) []script {
	all := make([]script, n)
	for i := range all {
		draw := roll(seed, fmt.Sprint("customer ", i))
		s := script{
			number: fmt.Sprintf("%s%04d", numberPrefix, i), channel: oneOf(draw, "sms", "sms", "whatsapp", "web"),
			queue: oneOf(draw, queueEveryone, queueEveryone, queueSales), plain: chance(draw, 0.15), begin: between(draw, 0, until),
			webhook: chance(draw, 0.3), timer: chance(draw, 0.2),
		}
		n := draw.IntN(100)
		for j := 0; n >= 0; j++ {
			n -= kinds[j].weight
			s.kind = kinds[j].kind
		}
		s.write(draw)
		all[i] = s
	}
	return all
}

// write writes the steps of a script.
func (s *script) write(draw *rand.Rand) {
	then := func(least, most time.Duration, what string) {
		s.steps = append(s.steps, step{between(draw, least, most), what})
	}
	if s.kind != "unaccepted" {
		then(300*time.Millisecond, 4*time.Second, actAccept)
	}
	if chance(draw, 0.5) && s.kind != "unaccepted" {
		then(time.Second, 5*time.Second, actAgent)
	}
	if chance(draw, 0.3) {
		then(time.Second, 30*time.Second, actCRM)
	}
	switch s.kind {
	case "chatty":
		for range 1 + draw.IntN(6) {
			s.steps = append(s.steps, step{pause(draw), oneOf(draw, actCustomer, actCustomer, actAgent)})
		}
	case "returning":
		s.steps = append(s.steps, step{0, actBeginAnew})
		then(300*time.Millisecond, 3*time.Second, actAccept)
	case "held":
		s.steps = append(s.steps, step{oneOf(draw, between(draw, time.Second, 20*time.Second), pause(draw)), actHold})
		if chance(draw, 0.5) {
			then(5*time.Second, 25*time.Second, actUnhold)
		}
	case "paused":
		s.plain = false
		s.steps = append(s.steps, step{oneOf(draw, between(draw, time.Second, 20*time.Second), pause(draw)), actPause})
		if chance(draw, 0.5) {
			then(5*time.Second, 20*time.Second, actResume)
		}
	case "left":
		s.plain = false
		then(time.Second, 15*time.Second, actLeave)
		if chance(draw, 0.5) {
			then(3*time.Second, 15*time.Second, actCustomer)
			then(time.Second, 5*time.Second, actNext)
		}
	case "transferred":
		s.steps = append(s.steps, step{oneOf(draw, between(draw, time.Second, 20*time.Second), pause(draw)), actTransfer})
		then(500*time.Millisecond, 8*time.Second, actNext)
	case "wrapped up":
		then(time.Second, 20*time.Second, oneOf(draw, actWrapUp, actComplete))
	case "unmatched":
		s.queue = queueElsewhere
	}
}

// talk is a conversation of a customer, with what is known of it beside the journal.
type talk struct {
	script

	mu      sync.Mutex
	started twiliosim.Started
	// changes are the changes of the tasks' attributes, by task and in order: holds and others'.
	changes map[string][]string
	// crm is what another program has on the newest task.
	crm int
	// ticket is what another program has on the conversation.
	ticket  string
	webhook string
}

// live plays a script until it is over or until people stop.
func (w *world) live(ctx context.Context, s script) {
	if !until(ctx, w.begun.Add(s.begin)) {
		return
	}
	t, err := w.begin(s)
	if err != nil {
		w.wrong("the customer cannot begin: %v", err)
		return
	}
	for _, one := range s.steps {
		if one.what == actBeginAnew {
			if t = w.beginAnew(ctx, t); t == nil {
				return
			}
			continue
		}
		if !until(ctx, time.Now().Add(one.after)) {
			return
		}
		// What cannot be done now, such as to write into a conversation that has ended, is left.
		if w.act(t, one.what) == nil {
			w.counts.add("acts of people", 1)
		}
	}
}

// begin has a customer write.
func (w *world) begin(s script) (*talk, error) {
	started, err := w.twilio.StartConversationWith(twiliosim.Start{
		Channel: s.channel, From: s.number, Body: customerText, Queue: s.queue, Plain: s.plain, Attributes: map[string]any{"crm": 0},
	})
	if err != nil {
		return nil, err
	}
	sid := started.ConversationSID
	t := &talk{script: s, started: started, changes: map[string][]string{}, ticket: "ticket of " + sid}
	w.mu.Lock()
	if known := w.talks[sid]; known != nil {
		w.mu.Unlock()
		return known, nil
	}
	w.talks[sid] = t
	w.note(started)
	w.mu.Unlock()
	w.counts.add("conversations begun", 1)
	if err := w.twilio.SetConversationAttribute(sid, "ticket", t.ticket); err != nil {
		return nil, err
	}
	if s.webhook {
		if t.webhook, err = w.twilio.AddWebhook(sid, w.elsewhere.URL+"/webhook", "onMessageAdded"); err != nil {
			return nil, err
		}
	}
	if s.timer {
		w.byOthers("/v1/Conversations/"+sid, url.Values{"Timers.Closed": {"P1D"}})
	}
	return t, nil
}

// foreignTimer is what another program sets on some conversations.
const foreignTimer = 24 * time.Hour

// note keeps what belongs to which conversation. The caller holds the world.
func (w *world) note(started twiliosim.Started) {
	w.tasks[started.TaskSID] = started.ConversationSID
	w.reservations[started.ReservationSID] = started.ConversationSID
}

// beginAnew waits until a conversation is closed, and has the same customer write again; nil: people have stopped before.
func (w *world) beginAnew(ctx context.Context, t *talk) *talk {
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	for {
		if seen, _, _ := w.twilio.StateOf(t.started.ConversationSID); seen.State == "closed" {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	again, err := w.begin(t.script)
	if err != nil {
		w.wrong("the customer cannot come back: %v", err)
		return nil
	}
	w.counts.add("customers who came back", 1)
	return again
}

// act has somebody do something. An error says that it cannot be done now.
func (w *world) act(t *talk, what string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	sid := t.started.ConversationSID
	switch what {
	case actAccept:
		return w.accept(t.started.ReservationSID)
	case actCustomer:
		return w.twilio.Say(sid, twiliosim.Customer, customerText)
	case actAgent:
		return w.twilio.Say(sid, twiliosim.Agent, agentText)
	case actHold, actUnhold, actCRM:
		return w.change(t, what)
	case actPause:
		return w.twilio.Pause(sid)
	case actResume:
		return w.follow(t)(w.twilio.Resume(sid))
	case actLeave:
		return w.twilio.Leave(sid)
	case actTransfer:
		return w.follow(t)(w.twilio.Transfer(sid))
	case actNext:
		return w.acceptNext(t)
	case actWrapUp:
		return w.unless("task is wrapped up", t.started.TaskSID, w.twilio.AgentWrapsUp)
	case actComplete:
		return w.unless("task is completed", t.started.TaskSID, w.twilio.AgentCompletes)
	}
	return fmt.Errorf("%q is nothing that people do", what)
}

func (w *world) accept(reservation string) error {
	return w.unless("agent accepts", reservation, w.twilio.Accept)
}

// unless has somebody do something that the journal has also when it is refused, and keeps that it was.
func (w *world) unless(event, sid string, do func(string) error) error {
	err := do(sid)
	if err != nil {
		w.mu.Lock()
		w.refused[event+" "+sid] = true
		w.mu.Unlock()
	}
	return err
}

// change changes the attributes of the newest task. Only the caller does, so that the journal has the changes in this order.
func (w *world) change(t *talk, what string) error {
	task := t.started.TaskSID
	t.changes[task] = append(t.changes[task], what) // before: the journal has it also when it is refused
	switch what {
	case actHold:
		return w.twilio.SetTaskAttribute(task, holdAttribute, true)
	case actUnhold:
		return w.twilio.RemoveTaskAttribute(task, holdAttribute)
	}
	if err := w.twilio.SetTaskAttribute(task, "crm", t.crm+1); err != nil {
		return err
	}
	t.crm++
	return nil
}

// follow takes note of the conversation's newest task.
func (w *world) follow(t *talk) func(twiliosim.Started, error) error {
	return func(started twiliosim.Started, err error) error {
		if err == nil {
			t.started, t.crm = started, -1 // attributes are not carried over to the new task
			w.mu.Lock()
			w.note(started)
			w.mu.Unlock()
		}
		return err
	}
}

// acceptNext has an agent accept whatever reservation of the conversation is open.
func (w *world) acceptNext(t *talk) error {
	sid := t.started.ConversationSID
	_, tasks, _ := w.twilio.StateOf(sid)
	for _, task := range tasks {
		for _, reservation := range task.Reservations {
			if reservation.Status == "pending" {
				started := t.started
				started.TaskSID, started.ReservationSID = task.SID, reservation.SID
				if err := w.follow(t)(started, nil); err != nil {
					return err
				}
				return w.accept(reservation.SID)
			}
		}
	}
	return fmt.Errorf("nothing is offered in %s", sid)
}
