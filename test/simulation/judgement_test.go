package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/marker"
)

// judgement is one write under judgement.
type judgement struct {
	*checker
	attempt *attempt
	talk    *talk
	sid     string
	// known are the messages of people that the replica had seen, and accepts what it can have known of agents' accepts.
	known   []utterance
	accepts []accept
}

func (j judgement) wrong(format string, args ...any) {
	j.w.wrong("%s: %s %s %v: %s", j.attempt.replica.name, j.attempt.method, j.attempt.path, j.attempt.form, fmt.Sprintf(format, args...))
}

// somebodyWants reports whether by one of the policies that the replica may know the write is right; otherwise why not.
func (j judgement) somebodyWants(right func(terms) string) {
	why := ""
	for _, one := range j.recent() {
		reason := "I4: no policy selects it"
		if policy := j.owner(one); policy != nil {
			if terms := termsOf(policy); !terms.acts {
				reason = "I4: the policy that owns it does not act: " + terms.name
			} else if reason = right(terms); reason == "" {
				return
			}
		}
		if why == "" {
			why = reason
		}
	}
	j.wrong("%s", why)
}

// owner is the policy that the conversation belonged to then; nil if it was nobody's.
func (j judgement) owner(then snapshot) *v1alpha1.InactivityPolicy {
	return owner(then.policies, j.talk.workspace.sid, j.talk.channel, j.queue())
}

func (j judgement) queue() string {
	if j.talk.queue == "" {
		return "Everyone"
	}
	return j.talk.queue
}

// touchable reports whether the conversation may be touched, as far as the replica can know.
func (j judgement) touchable() bool {
	var read time.Time // what shows it
	switch j.talk.why {
	case "left", "paused":
		read = later(j.attempt.known.tasks, j.attempt.known.aside)
	default:
		read = j.attempt.known.tasks
	}
	return j.mayBeTouched(j.talk.untouchable, read, j.talk.why) && j.notHeld()
}

// notHeld reports whether nobody holds the conversation, as far as the replica can know. A hold that came at the same moment
// as a claim is lost where Twilio does not look at versions.
func (j judgement) notHeld() bool {
	var read time.Time
	if !j.w.dialect.TaskListsHaveNullAttributes {
		read = j.attempt.known.tasks
	}
	return j.w.dialect.StaleIfMatchIsIgnored || j.mayBeTouched(j.talk.held, read, "held")
}

// mayBeTouched checks that nobody has put the conversation aside whom the replica can know of: it has read what shows it since,
// or has had to.
func (j judgement) mayBeTouched(since, read time.Time, why string) bool {
	if since.IsZero() || time.Since(since) <= stale && !read.After(since) {
		return true
	}
	j.wrong("I4: nobody may touch the conversation since %s: %s", since.Format(time.TimeOnly), why)
	return false
}

// start is when the clock began by what the replica knew: when the silence did, or the policy took effect.
func (j judgement) start(t terms) (start time.Time, byAgent bool) {
	start, byAgent = j.silence(t)
	if t.existing != v1alpha1.ExistingImmediate {
		start = later(start, t.since)
	}
	return start, byAgent
}

// silence is when the silence began by what the replica knew: at the last message of a person, or at the last accept.
func (j judgement) silence(t terms) (start time.Time, byAgent bool) {
	start = j.lastAccept()
	if len(j.known) > 0 {
		last := j.known[len(j.known)-1]
		byAgent = !last.customer
		anchor, first := last, j.runBegins(j.known)
		for i := len(j.known) - 1; t.firstUnanswered && byAgent && i >= first && !j.known[i].customer; i-- {
			anchor = j.known[i]
		}
		start = later(start, anchor.at.Truncate(time.Second))
	}
	return start, byAgent
}

// due is why a step is too early; nothing when it is not.
func (j judgement) due(t terms, before time.Duration) string {
	start, byAgent := j.start(t)
	switch {
	case t.onlyCustomers && !byAgent:
		return "I1: the customer is owed the reply"
	case time.Now().Before(t.after(start, t.timeout-before)):
		return fmt.Sprintf("I1: only %s have passed of %s since %s", time.Since(start), t.timeout-before, start.Format(time.TimeOnly))
	case t.closedHours == v1alpha1.ClosedDefer && t.hasBeenClosed():
		return "I1: it is closed, and the policy waits for the opening"
	}
	return ""
}

// runBegins is the first message that may be of the run that is unanswered: what people write after a notice begins a new one.
func (j judgement) runBegins(said []utterance) (first int) {
	for _, text := range j.sent[j.sid] {
		if text.Step == "notice" && text.said < len(said) {
			first = text.said
		}
	}
	return first
}

// waits is since when the customer has waited for a reply, and whether there is such a wait.
func (j judgement) waits(said []utterance) (since time.Time, waits bool) {
	first := j.runBegins(said)
	for i := len(said) - 1; i >= first && said[i].customer; i-- {
		since, waits = said[i].at.Truncate(time.Second), true
	}
	return later(since, j.lastAccept()), waits
}

// lastAccept is when an agent last accepted, in whole seconds.
func (j judgement) lastAccept() (last time.Time) {
	if len(j.accepts) > 0 {
		last = j.accepts[len(j.accepts)-1].at.Truncate(time.Second)
	}
	return last
}

// waited is since when the customer waits to whom a text is sent, as far as the replica can know: what has been said since
// may have ended that wait, and begun another.
func (j judgement) waited() time.Time {
	since, waits := j.waits(j.known)
	if !waits {
		since, _ = j.waits(j.talk.said)
	}
	return since
}

// holdingText judges the text for who waits for a reply.
func (j judgement) holdingText() {
	for _, earlier := range j.sent[j.sid] {
		if earlier.Step == "unanswered" && earlier.waited.Equal(j.waited()) && (!j.w.dialect.StaleIfMatchIsIgnored || time.Since(earlier.at) > stale) {
			j.wrong("I2: the text for who waits was sent at %s already", earlier.at.Format(time.TimeOnly))
		}
	}
	waiting, waits := j.waits(j.known)
	j.somebodyWants(func(t terms) string {
		since := waiting
		if t.existing != v1alpha1.ExistingImmediate {
			since = later(since, t.since)
		}
		switch {
		case !waits:
			return "I1: nobody waits for a reply"
		case t.unanswered == 0:
			return "the policy has no text for who waits"
		case time.Now().Before(t.after(since, t.unanswered)):
			return fmt.Sprintf("I1: the customer waits only since %s", since.Format(time.TimeOnly))
		case t.closedHours != "" && t.closedHours != v1alpha1.ClosedAct && t.hasBeenClosed():
			return "it is closed"
		}
		return ""
	})
}

// text judges a warning or a notice.
func (j judgement) text() {
	own, marked := marker.In(j.attempt.form.Get("Attributes"))
	if !marked {
		j.wrong("a message without a marker")
		return
	}
	j.w.tally.count("texts sent", 1)
	waited := j.waited()
	defer func() {
		j.sent[j.sid] = append(j.sent[j.sid], sentText{own, time.Now(), j.attempt.replica, len(j.talk.said), waited})
	}()
	if !j.touchable() {
		return
	}
	j.somebodyWants(func(t terms) string {
		switch form := j.attempt.form; {
		case t.says(own) != form.Get("Body"):
			return "I4: the policy says another text"
		case t.author != form.Get("Author"):
			return fmt.Sprintf("I4: the policy says it as %q", t.author)
		}
		return ""
	})
	if own.Step == "unanswered" {
		j.holdingText()
		return
	}
	for _, earlier := range j.sent[j.sid] {
		switch {
		case !j.isOfThisSilence(earlier, own) || j.w.dialect.StaleIfMatchIsIgnored && time.Since(earlier.at) < stale:
		case earlier.Step == own.Step && earlier.BeforeSeconds == own.BeforeSeconds:
			j.wrong("I2: the %s was sent at %s already", own.Step, earlier.at.Format(time.TimeOnly))
		case earlier.Step == "notice":
			j.wrong("I2: a %s after the notice", own.Step)
		}
	}
	before := own.Before()
	j.somebodyWants(func(t terms) string {
		switch {
		case own.Step == "warning" && !slices.Contains(t.warnings, before):
			return "there is no such warning"
		case own.Step == "notice" && t.silent:
			return "there is no message"
		case own.Step == "notice" && own.Action != string(t.action):
			return "I4: the policy says " + string(t.action)
		case own.Step == "notice" && !j.isWarned(t, own):
			return "I3: the customer was not warned"
		case t.closedHours == v1alpha1.ClosedCloseSilently && t.hasBeenClosed():
			return "it is closed, and nobody is to be told"
		}
		return j.due(t, before)
	})
	if own.Step == "notice" {
		j.fullNotice(own)
	}
}

// newSilenceSince reports whether a person has written, or an agent accepted, since that silence began.
func (j judgement) newSilenceSince(begun time.Time) bool {
	after := func(at time.Time) bool { return at.Truncate(time.Second).After(begun) }
	return slices.ContainsFunc(j.talk.said, func(u utterance) bool { return after(u.at) }) || slices.ContainsFunc(j.talk.accepts, func(one accept) bool { return after(one.at) })
}

// isOfThisSilence reports whether a text was about the same silence as what is done now.
func (j judgement) isOfThisSilence(text sentText, now marker.Entry) bool {
	return text.Episode == now.Episode || !j.newSilenceSince(text.IdleSince)
}

// hasTold reports whether the customer was sent such a text in the silence of what is done now.
func (j judgement) hasTold(now marker.Entry, such func(sentText) bool) bool {
	return slices.ContainsFunc(j.sent[j.sid], func(text sentText) bool { return such(text) && j.isOfThisSilence(text, now) })
}

// isWarned reports whether the customer has had the last of the policy's warnings, or one nearer to the end. While it is closed
// none may be sent, and none after a notice, also of a policy that only notifies.
func (j judgement) isWarned(t terms, now marker.Entry) bool {
	if len(t.warnings) == 0 || t.hours != nil {
		return true
	}
	return j.hasTold(now, isNotice) || j.hasTold(now, isWarning(slices.Min(t.warnings)))
}

// fullNotice checks that every warning of the silence has had its time.
func (j judgement) fullNotice(own marker.Entry) {
	for _, warning := range j.sent[j.sid] {
		if left := warning.Before(); warning.Step == "warning" && warning.Episode == own.Episode &&
			time.Since(warning.at.Truncate(time.Second)) < left {
			j.wrong("the customer was warned %s before the end, and told after %s", left, time.Since(warning.at))
		}
	}
}

// claim judges the operator's entry on a task.
func (j judgement) claim() {
	j.othersAttributes()
	own, found := marker.In(j.attempt.form.Get("Attributes"))
	if !found {
		j.wrong("attributes without an entry")
		return
	}
	if own.Step == "finish" || own.Step == "notice" {
		j.withinLimit(own.Policy)
	}
	if own.Step == "finish" {
		j.finishing[j.attempt.replica.name+j.sid] = j.attempt.sent // it may take effect later than the look that follows
	}
	if j.touchable() && own.Step != "unanswered" {
		j.somebodyWants(func(t terms) string {
			// It was closed when the replica sent this, or not long before.
			closed := t.closedHours == v1alpha1.ClosedCloseSilently &&
				(!t.hours.isOpen(j.attempt.sent) || !t.hours.isOpen(time.Now().Add(-stale/2)))
			switch {
			case own.Step != "finish":
			case t.action == v1alpha1.ActionNotify:
				return "I4: the policy only notifies"
			case !t.silent && !closed && !j.hasTold(own, isNotice):
				return "nobody is ended silently who can be told"
			case !j.isWarned(t, own):
				return "I3: the customer was not warned"
			}
			return j.due(t, own.Before())
		})
	}
}

// othersAttributes checks that a write has kept what others have on the task.
func (j judgement) othersAttributes() {
	parts := strings.Split(j.attempt.path, "/")
	was, is := foreign(j.attrs[parts[len(parts)-1]]), foreign(j.attempt.form.Get("Attributes"))
	if was != is && !j.w.dialect.StaleIfMatchIsIgnored {
		j.wrong("I5: others' attributes were %s", was)
	}
}

// ending judges what ends tasks and conversation.
func (j judgement) ending() {
	begun, found := j.begun()
	if !found {
		j.wrong("an ending that nothing has begun")
		return
	}
	if last := j.lastText(); j.attempt.known.at.Before(last) {
		j.wrong("I1: the messages were not read again after the text of %s", last.Format(time.TimeOnly))
		return
	}
	for _, said := range j.known {
		if said.at.Truncate(time.Second).After(begun) && (said.customer || !j.countsFromFirst()) {
			j.wrong("I1: a person has written at %s, which the replica has read", said.at.Format(time.TimeOnly))
			return
		}
	}
	for _, accepted := range j.accepts {
		// Of a task that ended five minutes ago Twilio shows nothing any more.
		if _, shown := j.attrs[accepted.task]; shown && accepted.at.Truncate(time.Second).After(begun) {
			j.wrong("I1: an agent has accepted at %s, which the replica has read", accepted.at.Format(time.TimeOnly))
			return
		}
	}
	j.somebodyWants(j.endsAsWanted)
	if j.live {
		j.notHeld()
	}
	if back := j.lastAccept(); j.live && j.channel == "active" && j.attempt.form.Get("State") == "closed" && j.attempt.known.channel.After(back) {
		j.wrong("I1: an agent has it again, and the channel is active, which the replica has read")
	}
	// An ending that has ended the tasks is carried through, whatever people did to the conversation at that moment.
	switch j.talk.why {
	case "being transferred":
		if j.waiting {
			j.touchable()
		}
	case "left", "paused":
		if j.channel != "closed" {
			j.touchable()
		}
	}
}

// endsAsWanted is what is wrong about how a write ends the tasks; nothing when it is as the policy says. An ending that has
// begun is carried through by a policy that only notifies since.
func (j judgement) endsAsWanted(t terms) string {
	form := j.attempt.form
	wraps := form.Get("AssignmentStatus") == "wrapping" || strings.Contains(j.attempt.path, "/Interactions/") && form.Get("Routing") == ""
	completes := form.Get("AssignmentStatus") == "completed" || form.Get("Routing") != ""
	switch {
	case completes && t.action == v1alpha1.ActionWrapUp:
		return "I4: the policy leaves the tasks to be wrapped up"
	case wraps && t.action != v1alpha1.ActionWrapUp:
		return "I4: the policy completes the tasks"
	}
	return ""
}

// lastText is when the replica itself last sent a text, or claimed an ending without one: it has to look again after it.
func (j judgement) lastText() time.Time {
	last := j.finishing[j.attempt.replica.name+j.sid]
	for _, text := range j.sent[j.sid] {
		if text.by == j.attempt.replica {
			last = later(last, text.at)
		}
	}
	return last
}

// countsFromFirst reports whether agents' further messages may not matter.
func (j judgement) countsFromFirst() bool {
	return slices.ContainsFunc(j.recent(), func(s snapshot) bool {
		policy := j.owner(s)
		return policy != nil && termsOf(policy).firstUnanswered
	})
}

// begun is since when the silence lasts that the latest ending is about.
func (j judgement) begun() (time.Time, bool) {
	var latest time.Time
	found := false
	for _, text := range j.sent[j.sid] {
		if text.Step == "notice" && text.Action != "Notify" {
			latest, found = later(latest, text.IdleSince), true
		}
	}
	for _, attributes := range j.attrs {
		if own, ok := marker.In(attributes); ok && own.Step == "finish" {
			latest, found = later(latest, own.Begun()), true
		}
	}
	return latest, found
}

// arming judges webhooks and timers.
func (j judgement) arming() {
	if j.touchable() {
		j.somebodyWants(func(terms) string { return "" })
	}
}

// awakes judges that a conversation is made active again at rest: no more often than the first step of its policy is long.
func (j judgement) awakes() {
	policy := j.owner(j.policies[len(j.policies)-1])
	if policy == nil {
		return // judged already
	}
	t := termsOf(policy)
	first := t.timeout
	for _, before := range t.warnings {
		first = min(first, t.timeout-before)
	}
	if t.unanswered > 0 {
		first = min(first, t.unanswered)
	}
	j.awoken[j.sid]++
	j.w.tally.count("made active again at rest", 1)
	if most := int(resting/max(first, time.Minute)) + 1; j.awoken[j.sid] > most {
		j.wrong("I8: it is made active again at rest for the %d. time, and the first step of %s is %s long", j.awoken[j.sid], t.name, first)
	}
}
