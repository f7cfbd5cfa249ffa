package simulation

import (
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// requests is how long the requests of a whole ending take, when nothing fails.
const requests = 10 * time.Second

// promised is how long after it was due a conversation has ended at the latest: when the next sweep has found it or the
// leader looks at it again, and has then had the time for the requests of a whole ending.
func (c *checker) promised() time.Duration {
	const slack = 30 * time.Second
	return c.w.sweepInterval + slack + requests
}

// endIsDue is when the end of a silence is due; false: never.
func (j judgement) endIsDue(t terms) (time.Time, bool) {
	start, byAgent := j.start(t)
	if !t.acts || t.onlyCustomers && !byAgent {
		return time.Time{}, false
	}
	end := t.after(start, t.timeout)
	for _, text := range j.sent[j.sid] {
		if text.Step == "warning" && !text.at.Before(start) {
			end = later(end, t.after(text.at, time.Duration(text.BeforeSeconds)*time.Second))
		}
	}
	end = later(end, j.talk.unheld)
	if t.closedHours == v1alpha1.ClosedDefer {
		end = t.hours.opens(end)
	}
	return end, true
}

// ends takes note of a write that has ended the last of the tasks.
func (j judgement) ends() {
	seen, tasks := j.look(j.sid)
	if j.live && seen.State != "closed" && !slices.ContainsFunc(tasks, isLive) && !slices.ContainsFunc(tasks, isWaiting) {
		j.talk.ended = time.Now()
	}
}

// hasBeenClosed checks that a conversation whose tasks the operator has ended, while nothing failed but callbacks, is closed
// soon, unless somebody has written or taken it up again.
func (j judgement) hasBeenClosed(t terms) {
	ended := j.talk.ended
	if seen, _ := j.look(j.sid); seen.State == "closed" || ended.Before(j.w.calm) || !t.acts || t.action == v1alpha1.ActionNotify {
		return
	}
	if time.Since(ended) > j.promised() {
		j.w.wrong("I3: %s (%s) is not closed, and its tasks were ended at %s", j.sid, j.talk.name, ended.UTC().Format(time.TimeOnly))
	}
}

// closes measures how late a conversation is closed, if the write has closed it. In the end, when the policies are deleted, a
// conversation may become another policy's that it was due for all the time.
func (j judgement) closes() {
	if seen, _ := j.look(j.sid); j.w.isOver() || j.state == "closed" || seen.State != "closed" {
		return
	}
	j.known, j.accepts = j.talk.said, j.talk.accepts
	policy := j.owner(j.policies[len(j.policies)-1])
	if policy == nil {
		return
	}
	terms := termsOf(policy)
	due, ever := j.endIsDue(terms)
	took := time.Since(due)
	if !ever || terms.limited || took < 0 {
		return // an ending that was carried through, or waited for its turn
	}
	circumstances, promised := faulty, j.promised()
	if due.After(j.w.calm.Add(recovering)) {
		circumstances = missed
		if called := j.talk.calledAt.Sub(due); called > -time.Second && called < requests {
			circumstances, promised = arrived, called+requests
		}
		if took > promised {
			j.wrong("I3: it was due at %s", due.Format(time.TimeOnly))
		}
	}
	j.w.tally.closed(circumstances, lag{took, promised})
}

// finally checks that everything that was due has ended.
func (c *checker) finally() {
	c.mu.Lock()
	c.atRest = -1
	c.mu.Unlock()
	c.callbacksAreAsWanted()
	c.recovered()
	c.othersAreAsTheyWere()
	now := snapshot{policies: c.w.cluster.all()}
	for _, sid := range slices.Sorted(maps.Keys(c.w.talks)) {
		t := c.talk(sid)
		if t == nil {
			continue
		}
		j := c.allKnown(t, sid)
		policy := j.owner(now)
		if policy == nil {
			continue
		}
		terms := termsOf(policy)
		j.hasBeenClosed(terms)
		if t.hasAgent(c.look(sid)) {
			j.hasComeToAnEnd(terms)
			j.hasBeenTold(terms)
		}
	}
}

// hasComeToAnEnd checks that a silence which was due has ended, or the customer was told.
func (j judgement) hasComeToAnEnd(t terms) {
	due, ever := j.endIsDue(t)
	queued := time.Duration(0)
	if t.limited {
		queued = resting // everybody has had a turn
	}
	switch late := time.Since(due) > j.promised()+queued; {
	case !ever || !late:
	case t.action != v1alpha1.ActionNotify:
		j.w.wrong("I3: %s (%s) has not ended", j.sid, j.talk.name)
	case t.closedHours != v1alpha1.ClosedCloseSilently && !j.hasJustTold(t, isNotice):
		j.w.wrong("I3: nobody was told in %s (%s)", j.sid, j.talk.name)
	}
}

// hasBeenTold checks that texts which were due before the end were sent. While it is closed they may be kept back.
func (j judgement) hasBeenTold(t terms) {
	if !t.acts || t.hours != nil || j.hasJustTold(t, isNotice) {
		return
	}
	if due, ever := j.endIsDue(t); ever {
		for _, before := range t.warnings {
			if time.Since(later(due.Add(-before), j.talk.unheld)) > j.promised() && !j.hasJustTold(t, isWarning(before)) {
				j.w.wrong("I3: nobody was warned in %s (%s), %s before the end", j.sid, j.talk.name, before)
			}
		}
	}
	since, waits := j.waits(j.known)
	if t.existing != v1alpha1.ExistingImmediate {
		since = later(since, t.since)
	}
	due := later(t.after(since, t.unanswered), j.talk.unheld)
	if warned := func(text sentText) bool { return text.Step == "warning" && !text.at.Before(since) }; slices.ContainsFunc(j.sent[j.sid], warned) {
		begun, _ := j.silence(t)
		due = later(due, begun) // there was no room for the text before
	}
	isOfThisWait := func(text sentText) bool { return text.Step == "unanswered" && text.waited.Equal(j.waited()) }
	told := slices.ContainsFunc(j.sent[j.sid], isOfThisWait) || j.hasJustTold(t, isWarning(t.timeout))
	if t.unanswered > 0 && waits && time.Since(due) > j.promised() && !told {
		j.w.wrong("I3: nobody has told who waits in %s (%s)", j.sid, j.talk.name)
	}
}

// hasJustTold reports whether the customer was sent such a text in the present silence.
func (j judgement) hasJustTold(t terms, such func(sentText) bool) bool {
	begun, _ := j.silence(t)
	return slices.ContainsFunc(j.sent[j.sid], func(text sentText) bool { return such(text) && !text.IdleSince.Before(begun) })
}

func isNotice(text sentText) bool { return text.Step == "notice" }

// isWarning says whether a text is a warning so long before the end, or nearer to it.
func isWarning(most time.Duration) func(sentText) bool {
	return func(text sentText) bool {
		return text.Step == "warning" && text.Before() <= most
	}
}

// hasAgent says whether an agent has the conversation, so that its silence will end it.
func (t *talk) hasAgent(seen twiliosim.ConversationState, tasks []twiliosim.TaskState) bool {
	return seen.State != "closed" && slices.ContainsFunc(tasks, isLive) && !slices.ContainsFunc(tasks, isWaiting) && t.untouchable.IsZero() && !slices.ContainsFunc(tasks, isHeld)
}

// allKnown judges a conversation by all that has happened to it. The caller holds the state.
func (c *checker) allKnown(t *talk, sid string) judgement {
	return judgement{checker: c, talk: t, sid: sid, known: t.said, accepts: t.accepts}
}

// othersAreAsTheyWere checks that what others have put on conversations is still there.
func (c *checker) othersAreAsTheyWere() {
	for _, sid := range slices.Sorted(maps.Keys(c.w.talks)) {
		planted := c.w.talks[sid].planted[sid]
		seen, _ := c.look(sid)
		for _, webhook := range planted.webhooks {
			if !slices.ContainsFunc(seen.Webhooks, func(left twiliosim.WebhookState) bool { return gocmp.Equal(left, webhook) }) {
				c.w.wrong("I5: the webhook %+v of %s is not as it was", webhook, sid)
			}
		}
		if seen.ClosedAfter != planted.closedAfter {
			c.w.wrong("I5: the timer that closes %s is %s and not %s", sid, seen.ClosedAfter, planted.closedAfter)
		}
	}
}

// watched checks, while nothing fails but callbacks, that texts are sent when they are due, and that a call of Twilio's that
// came early was answered by a timer for the rest.
func (c *checker) watched() {
	policies := snapshot{policies: c.w.cluster.all()}
	c.w.mu.Lock()
	talks := maps.Clone(c.w.talks)
	c.w.mu.Unlock()
	for _, sid := range slices.Sorted(maps.Keys(talks)) {
		t := c.talk(sid)
		if t == nil {
			continue
		}
		seen, tasks := c.look(sid)
		t.mu.Lock()
		c.mu.Lock()
		j := c.allKnown(t, sid)
		if policy := j.owner(policies); policy != nil {
			terms := termsOf(policy)
			j.hasBeenClosed(terms)
			if t.hasAgent(seen, tasks) {
				j.hasBeenTold(terms)
				j.hasTimer(policy, seen)
			}
		}
		c.mu.Unlock()
		t.mu.Unlock()
	}
}

// hasTimer checks that an inactive conversation is about to be looked at. A call that came before the agent's accept, during a
// hold, or before the conversation became inactive for another time had nothing to tell.
func (j judgement) hasTimer(policy *v1alpha1.InactivityPolicy, seen twiliosim.ConversationState) {
	called, terms := j.talk.calledAt, termsOf(policy)
	told := called.Sub(later(j.lastAccept(), j.talk.unheld)) > requests && time.Since(called) > requests && !seen.Updated.After(called)
	managed := policy.Spec.Callback == nil || policy.Spec.Callback.Mode != v1alpha1.CallbackDisabled
	if seen.State != "inactive" || !told || !managed || terms.limited || terms.action == v1alpha1.ActionNotify || j.w.weather.callbacksStayLost {
		return
	}
	if due, ever := j.endIsDue(terms); ever && time.Until(due) > requests {
		j.w.wrong("I3: %s is inactive and due only at %s: nothing will tell of it", j.sid, due.Format(time.TimeOnly))
	}
}

// rested says whether everything has come to rest.
func (c *checker) rested() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atRest >= 0
}

// rests: from now on nothing may be written.
func (c *checker) rests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atRest = c.writes
}
