package inactivity

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// The checker judges what the operator has written by DESIGN §5 and §8 and by nothing else: it shares no code with what it
// judges. It judges each write by what the replica could know: by what it had read, and, of what it had not read, by what
// was true when it began to look. What people do while a replica looks can come too late for it; before it goes on
// after a claim or a text, it has to look at the messages again.

// standing is how a conversation stands.
type standing struct {
	live []historyTask
	// accept is the latest accept of a live task, nil if there is none.
	accept *historyTask
	// anchor is the message that the clock counts from, waits the first that the customer waits for a reply to.
	anchor, waits *historyMessage
	// customerOwes says that the newest message of a person is an agent's; inbound is the customer's newest.
	customerOwes bool
	inbound      *historyMessage
	// silence is when the present silence began, start when its clock did, and waitStart that of the customer's wait.
	silence, start, waitStart time.Time
	// episode and wait tell episodes and waits apart, and grow from one to the next.
	episode, wait int
	held          bool
}

func (v historyView) stands(by historyForce, now time.Time) standing {
	var s standing
	for i := range v.tasks {
		task := &v.tasks[i]
		if !task.isLive() {
			continue
		}
		s.live = append(s.live, *task)
		if s.accept == nil || task.accepted.After(s.accept.accepted) || task.accepted.Equal(s.accept.accepted) && task.seq > s.accept.seq {
			s.accept = task
		}
	}
	s.readMessages(v.messages, by.terms)

	var holdEnd time.Time
	if by.terms.holds {
		values := []any{v.hold}
		for _, task := range s.live {
			values = append(values, task.hold)
		}
		for _, value := range values {
			held, ended := holding(value, now)
			s.held, holdEnd = s.held || held, latest(holdEnd, ended)
		}
	}
	clock := func(message *historyMessage) (begins, starts time.Time, number int) {
		if message != nil {
			begins, number = message.At, message.seq
		}
		if s.accept != nil {
			begins, number = latest(begins, s.accept.accepted), max(number, s.accept.seq)
		}
		starts = latest(begins, holdEnd)
		if by.terms.existing != v1alpha1.ExistingImmediate && by.terms.existing != v1alpha1.ExistingIgnore {
			starts = latest(starts, by.since)
		}
		return begins, starts, number
	}
	s.silence, s.start, s.episode = clock(s.anchor)
	if s.waits != nil {
		_, s.waitStart, s.wait = clock(s.waits)
	}
	return s
}

// readMessages goes through what people have written, from the first message to the last. What they write after a notice
// answers it, and is not of the run of messages that it was about.
func (s *standing) readMessages(messages []historyMessage, terms historyTerms) {
	noticed := false
	for i := range messages {
		message := &messages[i]
		switch message.who {
		case theCustomer:
			if s.waits == nil || noticed {
				s.waits = message
			}
			s.anchor, s.inbound, s.customerOwes, noticed = message, message, false, false
		case anAgent:
			if !terms.firstUnanswered || !s.customerOwes || noticed {
				s.anchor = message
			}
			s.waits, s.customerOwes, noticed = nil, true, false
		case theOperator:
			noticed = noticed || message.deed.step == StepNotice
		case aProgram:
		}
	}
}

// holding reads a value of the hold attribute.
func holding(value any, now time.Time) (held bool, ended time.Time) {
	switch value := value.(type) {
	case nil:
		return false, time.Time{}
	case bool:
		return value, time.Time{}
	case string:
		until, err := time.Parse(time.RFC3339, value)
		switch {
		case value == "":
			return false, time.Time{}
		case err != nil || now.Before(until):
			return true, time.Time{}
		default:
			return false, until
		}
	}
	return true, time.Time{}
}

// judge judges all that the operator has written.
func (w *world) judge() {
	for i, deed := range w.deeds {
		j := judgement{w: w, deed: deed, earlier: w.deeds[:i], terms: deed.by.terms, standing: deed.knew.stands(deed.by, deed.decided)}
		j.mayTouch()
		switch {
		case deed.what == "text" && deed.step == StepWarning:
			j.mayWarn()
		case deed.what == "text" && deed.step == StepUnanswered:
			j.mayComfort()
		case deed.what == "text" && deed.step == StepNotice, deed.what == "claim" && deed.step == StepFinish:
			j.mayBeginToEnd()
		case deed.what == "channel", deed.what == "task", deed.what == "close":
			j.mayGoOnEnding()
		}
	}
}

type judgement struct {
	standing
	w       *world
	deed    *historyDeed
	earlier []*historyDeed
	terms   historyTerms
}

func (j judgement) must(holds bool, invariant string) {
	if !holds {
		j.w.wrong("%s: %s", invariant, j.deed)
	}
}

// elapsed is how long something has lasted when the deed was decided on, as the policy counts time.
func (j judgement) elapsed(since time.Time) time.Duration {
	return j.terms.elapsed(since, j.deed.decided)
}

// ends says whether the deed ends tasks or the conversation.
func (j judgement) ends() bool {
	return slices.Contains([]string{"channel", "task", "close"}, j.deed.what)
}

// mayTouch is I4.
func (j judgement) mayTouch() {
	knew, by := j.deed.knew, j.deed.by
	j.must(!by.terms.suspended, "I4: nothing is written under a suspended policy")
	j.must(!by.since.IsZero(), "I4: nothing is written under a policy that is not in force")
	j.must(!j.held, "I4: nothing is written to a held conversation")
	j.must(knew.state != ConversationClosed || j.deed.what == "task" || j.deed.what == "channel", "I4: nothing is written to a closed conversation")
	j.must(knew.channel == ChannelActive || knew.channel == ChannelClosed && j.ends() || j.w.plain,
		"I4: nothing is written while the channel is not active")
	j.must(len(j.live) > 0 || j.ends(), "I4: nothing is written to a conversation that no agent has")
	j.must(j.deed.what != "timer" && j.deed.what != "webhook" || j.terms.managed, "I4: without callbacks, neither timer nor webhook is touched")
	if len(j.live) == 0 {
		return // an ending that has begun is carried through
	}
	for _, task := range knew.tasks {
		j.must(task.status != TaskPending && task.status != TaskReserved, "I4: nothing is written while the customer waits for an agent to accept")
	}
	newest := slices.MaxFunc(j.live, func(a, b historyTask) int { return cmp.Or(a.created.Compare(b.created), strings.Compare(a.sid, b.sid)) })
	owner := slices.IndexFunc(j.deed.round.forces, func(force historyForce) bool { return force.terms.covers(newest.queue) })
	j.must(owner >= 0 && j.deed.round.forces[owner].name == by.name, "I4: nothing is written to a conversation that is not the policy's")
}

// sent are the operator's texts of a step that are in the conversation and belong to an episode that is not over.
func (j judgement) sent(step Step, belongs func(standing) bool) []*historyDeed {
	var sent []*historyDeed
	if j.w.isUnsigned() {
		return nil // whose a message is changes with who takes part, and with it where episodes begin
	}
	for _, deed := range j.earlier {
		if deed.what == "text" && deed.step == step && belongs(deed.knew.stands(deed.by, deed.decided)) {
			sent = append(sent, deed)
		}
	}
	return sent
}

// thisEpisode holds for a text of the episode: also where the accept that it began with is not live any more.
func (j judgement) thisEpisode(of standing) bool { return of.episode >= j.episode }

// inTime is what holds for every step.
func (j judgement) inTime() {
	closed := j.terms.hours != nil && !j.terms.hours.open(j.deed.decided)
	j.must(j.terms.closed != v1alpha1.ClosedDefer || !closed, "no step is done in closed hours under Defer")
	if j.deed.what == "text" {
		j.must(j.terms.closed != v1alpha1.ClosedCloseSilently || !closed, "no text is sent in closed hours under CloseSilently")
		j.must(j.deed.template || !j.outside(), "only templates are sent outside the reply window")
		j.must(!j.deed.template || j.outside() && j.deed.step == StepNotice && j.terms.window == v1alpha1.OutsideSendTemplate,
			"the template takes the place of the notice outside the reply window only")
	}
	if j.terms.existing == v1alpha1.ExistingIgnore {
		j.must(!j.silence.Before(j.deed.by.since), "I1: a silence that began before the policy took effect is left alone under Ignore")
	}
}

// outside says whether the channel has a reply window that is looked at, and it is closed.
func (j judgement) outside() bool {
	return j.terms.window != "" && j.w.channelType == "whatsapp" &&
		(j.inbound == nil || !j.deed.decided.Before(j.inbound.At.Add(24*time.Hour)))
}

// isTurn says whether the clock runs: under waitingOn Customer it does while the customer owes the reply.
func (j judgement) isTurn() bool { return !j.terms.onlyCustomers || j.customerOwes }

func (j judgement) mayWarn() {
	j.inTime()
	before := j.deed.before
	j.must(slices.Contains(j.terms.warnings, before), "a warning is one of the policy's")
	j.must(j.isTurn(), "I1: nobody is warned who is owed a reply")
	j.must(j.elapsed(j.start) >= j.terms.timeout-before, "no warning is sent before its time")
	j.must(len(j.sent(StepNotice, j.thisEpisode)) == 0, "I2: no warning after the notice")
	if j.w.isUnsigned() {
		return
	}
	earlier := j.sent(StepWarning, j.thisEpisode)
	for _, warning := range earlier {
		j.must(warning.before != before, "I2: each warning is sent once")
		j.must(warning.before > before || warning.asked.After(j.deed.decided), "a warning is nearer to the end than the ones before it")
	}
	for _, later := range j.terms.warnings {
		due := j.terms.reaches(j.start, j.terms.timeout-later)
		// What was kept back in closed hours is not made up for.
		kept := j.terms.hours != nil && j.terms.closed == v1alpha1.ClosedCloseSilently && !j.terms.hours.open(due)
		j.must(later >= before || len(earlier) > 0 || kept || j.w.refuses[StepWarning] || j.deed.decided.Before(due), "of late warnings the latest is sent")
	}
}

func (j judgement) mayComfort() {
	j.inTime()
	if j.w.isUnsigned() {
		return
	}
	if j.waits == nil {
		j.must(false, "who waits for no reply is not told to wait")
		return
	}
	j.must(j.terms.unanswered > 0 && j.elapsed(j.waitStart) >= j.terms.unanswered, "no holding text is sent before its time")
	j.must(len(j.sent(StepUnanswered, func(of standing) bool { return of.wait >= j.wait })) == 0, "I2: one holding text for each wait")
	j.must(len(j.sent(StepNotice, j.thisEpisode)) == 0, "I2: no holding text after the notice")
	j.must(j.terms.onlyCustomers || j.elapsed(j.start) < j.terms.timeout, "no holding text is sent when the conversation is due to end")
}

func (j judgement) mayBeginToEnd() {
	j.inTime()
	j.must(j.isTurn(), "I1: no conversation is ended while the customer is owed a reply")
	j.must(j.accept != nil && j.elapsed(j.start) >= j.terms.timeout, "I1: no conversation is ended before the timeout has passed")
	for _, warning := range j.sent(StepWarning, j.thisEpisode) {
		j.must(j.elapsed(warning.landed) >= warning.before, "I1: each warning has its full time before the end")
	}
	told := j.sent(StepNotice, j.thisEpisode)
	j.must(j.hasWarned() || len(told) > 0, "nobody is ended unwarned who can be warned")
	j.must(j.terms.window != v1alpha1.OutsideSkip || !j.outside(), "a conversation is left alone outside the reply window under Skip")
	if j.deed.what == "text" {
		j.must(len(told) == 0, "I2: one notice for each episode")
		j.must(!j.terms.silent || j.deed.template, "no notice is sent where the policy has none")
		return
	}
	closed := j.terms.hours != nil && !j.terms.hours.open(j.deed.decided)
	quiet := closed && j.terms.closed == v1alpha1.ClosedCloseSilently
	speechless := j.terms.silent && (!j.outside() || j.terms.window != v1alpha1.OutsideSendTemplate) ||
		j.outside() && j.terms.window != v1alpha1.OutsideSendTemplate
	j.must(j.terms.action != v1alpha1.ActionNotify, "nothing is ended under Notify")
	j.must(quiet || speechless || len(told) > 0 || j.hasRefused() || j.w.isUnsigned(), "nobody is ended silently who can be told")
}

// hasWarned says whether the customer has had the last of the warnings, as far as it could be sent.
func (j judgement) hasWarned() bool {
	if len(j.terms.warnings) == 0 || j.terms.window != "" || j.terms.hours != nil && j.terms.closed == v1alpha1.ClosedCloseSilently ||
		j.w.isUnsigned() || len(j.w.refusals) > 0 {
		return true
	}
	last := slices.Min(j.terms.warnings)
	return slices.ContainsFunc(j.sent(StepWarning, j.thisEpisode), func(deed *historyDeed) bool { return deed.before <= last })
}

// hasRefused says whether Twilio has refused the notice of the episode.
func (j judgement) hasRefused() bool {
	return slices.ContainsFunc(j.w.refusals, func(deed *historyDeed) bool {
		return deed.step == StepNotice && j.thisEpisode(deed.knew.stands(deed.by, deed.decided))
	})
}

// mayGoOnEnding: an ending that has begun is carried through, if nobody has written or accepted since.
func (j judgement) mayGoOnEnding() {
	begun := slices.ContainsFunc(j.earlier, func(deed *historyDeed) bool {
		ending := deed.what == "text" && deed.step == StepNotice && deed.by.terms.action != v1alpha1.ActionNotify ||
			deed.what == "claim" && deed.step == StepFinish
		known := deed.what == "claim" || slices.ContainsFunc(j.deed.knew.messages, func(m historyMessage) bool { return m.deed == deed })
		// Without a live task, one that was accepted since has brought the conversation to somebody anew.
		known = known && (len(j.live) > 0 || !slices.ContainsFunc(j.deed.knew.tasks, func(task historyTask) bool { return task.seq > deed.seq }))
		return ending && known && deed.knew.stands(j.deed.by, deed.decided).episode >= j.episode
	})
	j.must(begun, "I1: only an ending that has begun in this episode is carried through")
}

// owner is the policy that the conversation belongs to, by its newest live task, else its newest.
func (w *world) owner() (historyForce, bool) {
	candidates := w.with(TaskAssigned)
	if len(candidates) == 0 {
		candidates = w.existing()
	}
	if len(candidates) == 0 {
		return historyForce{}, false
	}
	newest := slices.MaxFunc(candidates, func(a, b *historyTask) int {
		return cmp.Or(a.created.Compare(b.created), strings.Compare(a.sid, b.sid))
	})
	var before types.UID
	for _, policy := range w.policies {
		if policy.terms.covers(newest.queue) {
			return historyForce{name: policy.compiled.Name, terms: policy.terms, since: policy.since(before)}, true
		}
		before = policy.object.UID
	}
	return historyForce{}, false
}

// deadline is when the conversation has to have ended, if nobody writes or does anything any more and each step is done at
// most so late. It reports false where it need not end: because somebody else has it in hand, or because the policy says so.
func (w *world) deadline(late time.Duration) (time.Time, bool) {
	by, found := w.owner()
	view := w.see()
	if !found || w.isUnsigned() || by.terms.suspended || by.since.IsZero() || len(w.with(TaskPending)) > 0 || w.state == ConversationClosed ||
		w.channel != ChannelActive && !w.plain && (w.channel != ChannelClosed || len(w.with(TaskAssigned)) > 0) {
		return time.Time{}, false
	}
	s := view.stands(by, w.now)
	j := judgement{standing: s, w: w, terms: by.terms, deed: &historyDeed{decided: w.now, by: by}, earlier: w.deeds}
	switch {
	case s.held:
		return time.Time{}, false
	case len(s.live) == 0:
		return w.now.Add(late + 2*time.Minute), j.wasCutOff()
	case !j.isTurn(), by.terms.existing == v1alpha1.ExistingIgnore && s.silence.Before(by.since),
		by.terms.window != "" && w.channelType == "whatsapp": // which may close meanwhile
		return time.Time{}, false
	}
	// A step that comes late can come when the contact centre has closed.
	done := func(due time.Time) time.Time {
		return latest(by.terms.acts(due), by.terms.acts(due.Add(late)), due.Add(late))
	}
	end := latest(w.now, by.terms.reaches(s.start, by.terms.timeout))
	for _, warning := range j.sent(StepWarning, j.thisEpisode) {
		end = latest(end, by.terms.reaches(warning.landed, warning.before))
	}
	for _, before := range by.terms.warnings {
		end = by.terms.reaches(done(end), before)
	}
	end = done(end).Add(2 * time.Minute)
	alive := !slices.ContainsFunc(s.live, func(task historyTask) bool { return !end.Before(task.accepted.Add(24 * time.Hour)) })
	return end, alive
}

// wasCutOff says whether the operator has ended the tasks and not yet closed the conversation, and nobody has come since.
func (j judgement) wasCutOff() bool {
	since := 0
	for _, deed := range j.earlier {
		if deed.what == "channel" || deed.what == "task" {
			since = deed.seq
		}
	}
	for _, message := range j.w.messages {
		if message.seq > since && message.who != aProgram && message.who != theOperator {
			return false
		}
	}
	return since > 0 && !slices.ContainsFunc(j.w.tasks, func(task *historyTask) bool {
		return task.made > since || task.ended.IsZero() && task.status != TaskWrapping || task.status == TaskCanceled ||
			!task.ended.IsZero() && !j.w.now.Before(task.ended.Add(time.Minute))
	})
}

// hasEnded says whether the operator has done all that the policy says at the end.
func (w *world) hasEnded(by historyForce) bool {
	if by.terms.action != v1alpha1.ActionNotify {
		return w.state == ConversationClosed && len(w.with(TaskAssigned)) == 0
	}
	s := w.see().stands(by, w.now)
	j := judgement{standing: s, w: w, terms: by.terms, deed: &historyDeed{decided: w.now, by: by}, earlier: w.deeds}
	closed := by.terms.hours != nil && by.terms.closed == v1alpha1.ClosedCloseSilently // where nobody is told at night
	return closed || j.hasRefused() || len(j.sent(StepNotice, j.thisEpisode)) > 0
}
