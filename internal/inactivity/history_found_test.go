package inactivity

import (
	"slices"
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// TestHistoriesThatWentWrong keeps what the random histories have found.
func TestHistoriesThatWentWrong(t *testing.T) {
	plain := historyTerms{timeout: 15 * time.Minute, action: v1alpha1.ActionClose, managed: true}
	changed := func(change func(*historyTerms)) historyTerms {
		terms := plain
		change(&terms)
		return terms
	}
	for sentence, history := range map[string]struct {
		terms  historyTerms
		happen func(w *world)
	}{
		"a conversation that its agent has left after the notice is not closed when Twilio has deleted its task": {plain, func(w *world) {
			w.fault = "delayed"
			w.wait(15*time.Minute + time.Second)
			w.putAside("inactive", TaskCompleted)
			w.wait(30 * time.Second) // the notice arrives
			w.wait(5 * time.Minute)
			w.lookThrough(0)
		}},
		"an ending does not stop halfway because of a hold on a task that was being wrapped up when it began": {
			changed(func(terms *historyTerms) { terms.holds = true }), func(w *world) {
				w.setHold(true, true)
				w.invite(queueSupport)
				w.accept()
				w.end(w.tasks[0], TaskWrapping)
			}},
		"a warning that an edit has brought is not sent while another replica is sending the notice": {plain, func(w *world) {
			w.timersArrive = false
			w.wait(15 * time.Minute)
			for w.begin(0); w.claims() == 0; {
				w.goOn(0, 1)
			}
			w.edit("warnings", func(terms *historyTerms) { terms.warnings = []time.Duration{time.Minute} })
			w.lookThrough(1)
			w.goOn(0, 20)
		}},
		"an ending whose notice is out is carried through although an edit has moved the anchor within its second": {plain, func(w *world) {
			w.agentWrites()
			w.agentWrites()
			w.fault = "delayed"
			w.wait(15*time.Minute + time.Second)
			w.edit("anchor", func(terms *historyTerms) { terms.firstUnanswered = true })
		}},
		"a notice whose sender crashed is taken over although Twilio has refused a warning before it": {
			changed(func(terms *historyTerms) { terms.warnings = []time.Duration{time.Minute} }), func(w *world) {
				w.timersArrive, w.refuses[StepWarning] = false, true
				w.wait(14 * time.Minute)
				w.lookThrough(0)
				w.wait(time.Minute)
				for w.begin(0); w.claims() < 3; {
					w.goOn(0, 1)
				}
				w.replicas[0].round.fail("is cut off")
			}},
		"the notice of a policy that only notified is not the beginning of an end": {
			changed(func(terms *historyTerms) { terms.action = v1alpha1.ActionNotify }), func(w *world) {
				w.wait(16 * time.Minute)
				w.edit("action", func(terms *historyTerms) { terms.action, terms.onlyCustomers = v1alpha1.ActionClose, true })
				w.reconcile()
				w.wait(16 * time.Minute)
			}},
		"a timer for what is due in more than a day is set once": {
			changed(func(terms *historyTerms) { terms.hours, terms.openClock = historySchedules[0], true }), func(w *world) {
				w.wait(9 * time.Hour)
				w.agentWrites()
				w.lookTwice(0)
				w.wait(time.Minute)
				w.lookTwice(0)
			}},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, historySeasons[0].Add(33*time.Hour), history.terms, historyDialect{restRestarts: true, restReactivates: true},
				historyConnection{channelType: "sms", named: everyTask})
			w.acceptAndTell(3)
			w.tell("and now")
			history.happen(w)
			w.live(nil, historyWakings["something wakes it every 30 seconds"])
		})
	}
}

// claims is how often the operator has claimed.
func (w *world) claims() int {
	return len(slices.DeleteFunc(slices.Clone(w.deeds), func(deed *historyDeed) bool { return deed.what != "claim" }))
}
