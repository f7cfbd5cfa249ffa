package simulation

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// stale is how old what a write is based on may be: a pass takes 25 seconds at most, its last request may take effect a
// little after it has given up, and its cache may be behind.
const stale = 25*time.Second + lateness + maxWatchLag

// checker judges what the operator does by the words of the design. It knows what people and admins did, and sees every
// request at the moment at which it takes effect.
type checker struct {
	w *world

	mu       sync.Mutex
	policies []snapshot
	// reads is what a replica has read of a conversation, by both their names.
	reads map[string]reading
	sent  map[string][]sentText
	// edited is when what the clocks of a policy depend on was last edited.
	edited map[string]time.Time
	// atRest is how many writes there were when everything came to rest; -1: it has not yet.
	atRest int
	writes int
	// What a write finds: the attributes of the tasks, whether one of them waits for an agent, and the state of the
	// conversation and of its interaction channel.
	attrs          map[string]string
	waiting        bool
	state, channel string
}

// snapshot is all policies from a moment on.
type snapshot struct {
	from     time.Time
	policies []*v1alpha1.InactivityPolicy
}

// sentText is a message of the operator's.
type sentText struct {
	entry
	at time.Time
	by *replica
}

// reading is when a replica last read the messages of a conversation, and how many of them were people's.
type reading struct {
	at     time.Time
	people int
}

func newChecker(w *world) *checker {
	return &checker{w: w, reads: map[string]reading{}, sent: map[string][]sentText{}, edited: map[string]time.Time{}, atRest: -1}
}

// policyWritten keeps what the policies were from when on. The cluster holds its state meanwhile.
func (c *checker) policyWritten(one change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.atRest >= 0 && strings.HasPrefix(one.by, "replica") {
		c.w.wrong("I8: %s writes %s at rest: %s", one.by, one.before.Name, gocmp.Diff(one.before.Status, one.after.Status))
	}
	c.policies = append(c.policies, snapshot{time.Now(), c.w.cluster.list()})
	c.takesEffectAnew(one)
}

// takesEffectAnew checks that a policy whose clocks have changed does not count from before that.
func (c *checker) takesEffectAnew(one change) {
	if one.after == nil {
		return
	}
	name := one.after.Name
	if one.before == nil || !equalJSON(clocksOf(one.before), clocksOf(one.after)) {
		c.edited[name] = time.Now().Truncate(time.Second)
	}
	if since := one.after.Status.EffectiveSince; since != nil && one.after.Status.ObservedGeneration == one.after.Generation && since.Time.Before(c.edited[name]) {
		c.w.wrong("I1: %s counts from %s, but was edited at %s", name, since.UTC().Format(time.TimeOnly), c.edited[name].Format(time.TimeOnly))
	}
}

// clocksOf is what of a policy its clocks depend on.
func clocksOf(policy *v1alpha1.InactivityPolicy) any {
	spec := policy.Spec
	return []any{
		spec.Timeout, cmp.Or(spec.WaitingOn, v1alpha1.WaitingOnAny), cmp.Or(spec.Anchor, v1alpha1.AnchorLastMessage),
		cmp.Or(spec.Mode, v1alpha1.ModeEnforce), spec.Suspend, spec.Selector, cmp.Or(spec.Existing, v1alpha1.ExistingGrace),
	}
}

// recent are the snapshots that a write may be based on now, the newest first.
func (c *checker) recent() []snapshot {
	oldest := time.Now().Add(-stale)
	var found []snapshot
	for _, one := range slices.Backward(c.policies) {
		found = append(found, one)
		if one.from.Before(oldest) {
			break
		}
	}
	return found
}

// look is a conversation with its tasks as they are.
func (c *checker) look(sid string) (twiliosim.ConversationState, []twiliosim.TaskState) {
	seen, tasks, _ := c.w.twilio.StateOf(sid)
	return seen, tasks
}

// talk is the talk whose conversation it is now; nil if there is none.
func (c *checker) talk(sid string) *talk {
	c.w.mu.Lock()
	t := c.w.talks[sid]
	c.w.mu.Unlock()
	if t == nil || t.now().ConversationSID != sid {
		return nil
	}
	return t
}

// before looks at what a write is about to change.
func (c *checker) before(a *attempt) {
	if a.method == http.MethodGet {
		return
	}
	sid := c.about(a)
	if sid == "" {
		return
	}
	seen, tasks := c.look(sid)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.channel = seen.State, seen.ChannelStatus
	c.waiting = slices.ContainsFunc(tasks, isWaiting)
	c.attrs = map[string]string{}
	for _, task := range tasks {
		c.attrs[task.SID] = task.Attributes
	}
}

// after judges a request that has taken effect.
func (c *checker) after(a *attempt) {
	if a.status < 200 || a.status > 299 {
		return
	}
	sid := c.about(a)
	if a.method == http.MethodGet {
		if t := c.talk(sid); t != nil && strings.HasSuffix(a.path, "/Messages") {
			t.mu.Lock()
			people := len(t.said)
			t.mu.Unlock()
			c.mu.Lock()
			c.reads[a.replica.name+sid] = reading{at: time.Now(), people: people}
			c.mu.Unlock()
		}
		return
	}
	t := c.talk(sid)
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A conversation that Twilio's timer has made inactive is made active again: something has happened.
	if c.writes++; c.atRest >= 0 && c.state != "inactive" {
		c.w.wrong("I8: %s writes to Twilio at rest: %s %v", a.replica.name, a.path, a.form)
	}
	if t == nil {
		return
	}
	j := judgement{checker: c, attempt: a, talk: t, sid: sid, known: t.said[:min(a.known.people, len(t.said))]}
	switch {
	case strings.HasSuffix(a.path, "/Messages"):
		j.text()
	case a.form.Get("Attributes") != "":
		j.claim()
	case a.form.Get("AssignmentStatus") != "", strings.Contains(a.path, "/Interactions/"), a.form.Get("State") == "closed":
		j.ending()
	default:
		j.arming()
	}
}

// known is what the replica has read of the conversation that a request is about.
func (c *checker) known(r *replica, request *http.Request) reading {
	sid := c.about(&attempt{path: request.URL.Path})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads[r.name+sid]
}

// about is the conversation that a request is about; nothing if it names none.
func (c *checker) about(a *attempt) string {
	c.w.mu.Lock()
	talks := maps.Clone(c.w.talks)
	sid := a.conversation(c.w.tasks)
	c.w.mu.Unlock()
	if !strings.Contains(a.path, "/Interactions/") {
		return sid
	}
	for sid, t := range talks {
		if started := t.now(); strings.HasSuffix(a.path, "/"+started.ChannelSID) && sid == started.ConversationSID {
			return sid
		}
	}
	return ""
}

// judgement is one write under judgement.
type judgement struct {
	*checker
	attempt *attempt
	talk    *talk
	sid     string
	// known are the messages of people that the replica had seen.
	known []utterance
}

func (j judgement) wrong(format string, args ...any) {
	j.w.wrong("%s: %s %s %v: %s", j.attempt.replica.name, j.attempt.method, j.attempt.path, j.attempt.form, fmt.Sprintf(format, args...))
}

// somebodyWants reports whether by one of the policies that the replica may know the write is right; otherwise why not.
func (j judgement) somebodyWants(right func(terms) string) {
	why := ""
	for _, one := range j.recent() {
		reason := "I4: no policy selects it"
		if policy := owner(one.policies, j.talk.channel, j.queue()); policy != nil {
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

func (j judgement) queue() string {
	if j.talk.queue == "" {
		return "Everyone"
	}
	return j.talk.queue
}

// touchable reports whether the conversation may be touched, as far as the replica can know.
func (j judgement) touchable() bool {
	held := j.talk.held
	if j.w.dialect.StaleIfMatchIsIgnored {
		held = time.Time{} // a hold that came at the same moment as a claim is lost where Twilio does not look at versions
	}
	for why, since := range map[string]time.Time{j.talk.why: j.talk.untouchable, "held": held} {
		if !since.IsZero() && time.Since(since) > stale {
			j.wrong("I4: nobody may touch the conversation since %s: %s", since.Format(time.TimeOnly), why)
			return false
		}
	}
	return true
}

// start is when the clock began by what the replica knew: at the last message of a person, or at the last accept.
func (j judgement) start(t terms) (start time.Time, byAgent bool) {
	if accepts := j.talk.accepts; len(accepts) > 0 {
		start = accepts[len(accepts)-1].Truncate(time.Second)
	}
	if len(j.known) > 0 {
		last := j.known[len(j.known)-1]
		byAgent = !last.customer
		anchor := last
		for i := len(j.known) - 1; t.firstUnanswered && byAgent && i >= 0 && !j.known[i].customer; i-- {
			anchor = j.known[i]
		}
		start = later(start, anchor.at.Truncate(time.Second))
	}
	if t.existing != v1alpha1.ExistingImmediate {
		start = later(start, t.since)
	}
	return start, byAgent
}

// due is why a step is too early; nothing when it is not.
func (j judgement) due(t terms, before time.Duration) string {
	start, byAgent := j.start(t)
	switch passed := time.Since(start); {
	case t.onlyCustomers && !byAgent:
		return "I1: the customer is owed the reply"
	case passed < t.timeout-before:
		return fmt.Sprintf("I1: only %s have passed of %s since %s", passed, t.timeout-before, start.Format(time.TimeOnly))
	}
	return ""
}

// text judges a warning or a notice.
func (j judgement) text() {
	own, marked := entryIn(j.attempt.form.Get("Attributes"))
	if !marked {
		j.wrong("a message without a marker")
		return
	}
	defer func() { j.sent[j.sid] = append(j.sent[j.sid], sentText{own, time.Now(), j.attempt.replica}) }()
	if !j.touchable() {
		return
	}
	for _, earlier := range j.sent[j.sid] {
		sameEpisode := earlier.Episode == own.Episode || !j.newSilenceSince(earlier.IdleSince)
		switch {
		case !sameEpisode || j.w.dialect.StaleIfMatchIsIgnored && time.Since(earlier.at) < stale:
		case earlier.Step == own.Step && earlier.BeforeSeconds == own.BeforeSeconds:
			j.wrong("I2: the %s was sent at %s already", own.Step, earlier.at.Format(time.TimeOnly))
		case earlier.Step == "notice" && earlier.Action != "Notify":
			j.wrong("I2: a %s after the notice", own.Step)
		}
	}
	before := time.Duration(own.BeforeSeconds) * time.Second
	j.somebodyWants(func(t terms) string {
		switch {
		case own.Step == "warning" && !slices.Contains(t.warnings, before):
			return "there is no such warning"
		case own.Step == "notice" && t.silent:
			return "there is no message"
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
	return slices.ContainsFunc(j.talk.said, func(u utterance) bool { return after(u.at) }) || slices.ContainsFunc(j.talk.accepts, after)
}

// fullNotice checks that every warning of the silence has had its time.
func (j judgement) fullNotice(own entry) {
	for _, warning := range j.sent[j.sid] {
		if left := time.Duration(warning.BeforeSeconds) * time.Second; warning.Step == "warning" && warning.Episode == own.Episode &&
			time.Since(warning.at.Truncate(time.Second)) < left {
			j.wrong("the customer was warned %s before the end, and told after %s", left, time.Since(warning.at))
		}
	}
}

// claim judges the operator's entry on a task.
func (j judgement) claim() {
	j.othersAttributes()
	own, found := entryIn(j.attempt.form.Get("Attributes"))
	if !found {
		j.wrong("attributes without an entry")
		return
	}
	if j.touchable() {
		j.somebodyWants(func(t terms) string {
			if own.Step == "finish" && !t.silent && !slices.ContainsFunc(j.sent[j.sid], func(s sentText) bool { return s.Step == "notice" }) {
				return "nobody is ended silently who can be told"
			}
			return j.due(t, time.Duration(own.BeforeSeconds)*time.Second)
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

// lastText is when the replica itself last sent a text, or claimed an ending without one: it has to look again after it.
func (j judgement) lastText() (last time.Time) {
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
		policy := owner(s.policies, j.talk.channel, j.queue())
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
		if own, ok := entryIn(attributes); ok && own.Step == "finish" {
			latest, found = later(latest, own.At.Add(-time.Duration(own.IdleSeconds)*time.Second)), true
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

// answered takes note of how a replica has answered a callback.
func (c *checker) answered(r *replica, status int) {
	if status == http.StatusForbidden {
		c.w.wrong("I7: %s refuses a callback of Twilio's", r.name)
	}
}

// forged has a stranger call a replica.
func (c *checker) forged(r *replica, draw *rand.Rand) {
	path := oneOf(draw, "/v1/taskrouter/", "/v1/conversations/") + c.w.twilio.WorkspaceSID()
	body := "EventType=onConversationStateUpdated&StateTo=inactive&Reason=TIMER&ConversationSid=CH" + strings.Repeat("0", 32)
	request, err := http.NewRequest(http.MethodPost, c.w.publicURL.String()+path, io.NopCloser(bytes.NewReader([]byte(body))))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Twilio-Signature", "Zm9yZ2Vk")
	recorder := httptest.NewRecorder()
	r.receiver.ServeHTTP(recorder, request)
	if recorder.Code < 400 {
		c.w.wrong("I7: %s answers a forged callback with %d", r.name, recorder.Code)
	}
}

// rests: from now on nothing may be written.
func (c *checker) rests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atRest = c.writes
}

// isWaiting says whether a task waits for an agent.
func isWaiting(task twiliosim.TaskState) bool {
	return task.Status == "pending" || task.Status == "reserved"
}

// finally checks that everything that was due has ended.
func (c *checker) finally() {
	c.mu.Lock()
	c.atRest = -1
	c.mu.Unlock()
	policies := c.w.cluster.all()
	for _, sid := range slices.Sorted(maps.Keys(c.w.talks)) {
		t := c.talk(sid)
		if t == nil {
			continue
		}
		seen, tasks := c.look(sid)
		live := slices.ContainsFunc(tasks, func(task twiliosim.TaskState) bool { return task.Status == "assigned" })
		held := slices.ContainsFunc(tasks, func(task twiliosim.TaskState) bool { return task.Status == "assigned" && hasHold(task.Attributes) })
		waiting := slices.ContainsFunc(tasks, isWaiting)
		if seen.State == "closed" || !live || waiting || !t.untouchable.IsZero() || held {
			continue
		}
		j := judgement{checker: c, talk: t, sid: sid, known: t.said}
		policy := owner(policies, t.channel, j.queue())
		if policy == nil {
			continue
		}
		terms := termsOf(policy)
		_, byAgent := j.start(terms)
		switch {
		case !terms.acts, terms.onlyCustomers && !byAgent:
		case terms.action == v1alpha1.ActionNotify:
			if len(c.sent[sid]) == 0 {
				c.w.wrong("I3: nobody was told in %s (%s)", sid, t.name)
			}
		default:
			c.w.wrong("I3: %s (%s) has not ended", sid, t.name)
		}
	}
}

// retired checks that the workspace is as it was.
func (c *checker) retired() {
	for _, workspace := range c.w.twilio.State().Workspaces {
		if workspace.EventCallbackURL != "" || workspace.EventsFilter != "" {
			c.w.wrong("I6: workspace %s still calls %s for %s", workspace.SID, workspace.EventCallbackURL, workspace.EventsFilter)
		}
	}
	if left := c.w.cluster.all(); len(left) > 0 {
		c.w.wrong("I6: %d policies are not gone", len(left))
	}
}
