package simulation

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
	"github.com/flexops-dev/inactivity-operator/test/marker"
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
	// heard are the conversations that Twilio has told a replica of, by both their names.
	heard map[string]bool
	sent  map[string][]sentText
	// finishing is when a replica last sent the claim of an end without a notice, by both their names.
	finishing map[string]time.Time
	// beginnings are the endings that were begun lately, by policy.
	beginnings map[string][]beginning
	slots      map[string]*slot // by workspace
	// failures are what went wrong for replicas, by their names.
	failures map[string][]failure
	// events are those that have come to replicas, by the replica's name and their own SID.
	events map[string]*event
	// edited is when what the clocks of a policy depend on was last edited.
	edited map[string]time.Time
	// effective is by policy what it counts from, and what its clocks were when it began to.
	effective map[string]effective
	// atRest is how many writes there were when everything came to rest; -1: it has not yet. awoken is how often each
	// conversation was made active again since.
	atRest int
	awoken map[string]int
	writes int
	// What a write finds: the attributes of the tasks, whether one of them waits for an agent or is with one, and the state of
	// the conversation and of its interaction channel.
	attrs          map[string]string
	waiting, live  bool
	state, channel string
}

// snapshot is all policies from a moment on.
type snapshot struct {
	from     time.Time
	policies []*v1alpha1.InactivityPolicy
}

// sentText is a message of the operator's.
type sentText struct {
	marker.Entry
	at time.Time
	by *replica
	// said is how many messages people had written by then, and waited since when the customer had waited for a reply.
	said   int
	waited time.Time
}

// reading is when a replica last read the messages of a conversation, and how many of them were people's, or when it last
// read a workspace.
type reading struct {
	at     time.Time
	people int
	// reservations is when it last read those of a task, by its SID.
	reservations map[string]time.Time
	// tasks and channel are when it last read the list of tasks, as of when that was, and the interaction channel; aside is
	// when that was not active. A customer who writes makes it active again, and a new task.
	tasks, channel, aside time.Time
	workspace             sighting
}

// accepts are those of which a replica knows: it has read them, or has had to look since.
func (r reading) accepts(all []accept) []accept {
	return slices.DeleteFunc(slices.Clone(all), func(one accept) bool {
		return time.Since(one.at) <= stale && !r.reservations[one.task].After(one.at)
	})
}

func newChecker(w *world) *checker {
	return &checker{
		w: w, reads: map[string]reading{}, heard: map[string]bool{}, sent: map[string][]sentText{}, finishing: map[string]time.Time{},
		beginnings: map[string][]beginning{},
		slots:      map[string]*slot{}, edited: map[string]time.Time{}, effective: map[string]effective{}, events: map[string]*event{},
		failures: map[string][]failure{}, atRest: -1, awoken: map[string]int{},
	}
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
	if one.after != nil {
		c.sees(one.after)
		if c.w.tells && (one.before == nil || one.before.Generation != one.after.Generation) {
			spec, _ := json.Marshal(one.after.Spec)
			c.w.tell("%s is %s", one.after.Name, spec)
		}
		const record = v1alpha1.AnnotationPreviousCallback
		if recorded := one.after.Annotations[record]; one.before != nil && one.before.Annotations[record] != recorded {
			c.w.tell("%s: record of %s: %s", one.by, one.after.Name, recorded)
		}
	}
}

// effective is from when on a policy counts, and what of it that depended on.
type effective struct {
	since  time.Time
	clocks any
}

// takesEffectAnew checks that a policy whose clocks have changed does not count from before that. An edit that is undone
// before the operator has seen it changes nothing.
func (c *checker) takesEffectAnew(one change) {
	if one.after == nil {
		return
	}
	name := one.after.Namespace + "/" + one.after.Name
	if one.before == nil || !equalJSON(clocksOf(one.before), clocksOf(one.after)) {
		c.edited[name] = time.Now().Truncate(time.Second)
	}
	status, was := one.after.Status, c.effective[name]
	if status.EffectiveSince == nil || status.ObservedGeneration != one.after.Generation || !one.after.DeletionTimestamp.IsZero() {
		return
	}
	since := status.EffectiveSince.Time
	if unchanged := since.Equal(was.since) && equalJSON(was.clocks, clocksOf(one.after)); since.Before(c.edited[name]) && !unchanged {
		c.w.wrong("I1: %s counts from %s, but was edited at %s", name, since.UTC().Format(time.TimeOnly), c.edited[name].Format(time.TimeOnly))
	}
	c.effective[name] = effective{since, clocksOf(one.after)}
}

// clocksOf is what of a policy its clocks depend on.
func clocksOf(policy *v1alpha1.InactivityPolicy) any {
	spec := policy.Spec
	return []any{
		spec.Timeout, cmp.Or(spec.WaitingOn, v1alpha1.WaitingOnAny), cmp.Or(spec.Anchor, v1alpha1.AnchorLastMessage),
		cmp.Or(spec.Mode, v1alpha1.ModeEnforce), spec.Suspend, spec.Selector, cmp.Or(spec.Existing, v1alpha1.ExistingGrace), spec.Hours,
	}
}

// recent are the snapshots that a write to a conversation may be based on now, the newest first.
func (c *checker) recent() []snapshot { return c.since(stale) }

// since are the snapshots of so long, the newest first, with the one that was in force when that began.
func (c *checker) since(length time.Duration) []snapshot {
	oldest := time.Now().Add(-length)
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
	c.mu.Lock()
	c.state = ""
	c.mu.Unlock()
	if workspace := c.workspaceOf(a.path); workspace != "" {
		c.takes(a, workspace)
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
	c.waiting, c.live = slices.ContainsFunc(tasks, isWaiting), slices.ContainsFunc(tasks, isLive)
	c.attrs = map[string]string{}
	for _, task := range tasks {
		c.attrs[task.SID] = task.Attributes
	}
}

// after judges a request that has taken effect.
func (c *checker) after(a *attempt) {
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		c.w.wrong("I7: %s asks for %s with a token that Twilio does not take", a.replica.name, a.path)
	}
	if a.method == http.MethodGet || a.status < 200 || a.status > 299 {
		return
	}
	sid := c.about(a)
	t := c.talk(sid)
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A conversation that Twilio's timer has made inactive is made active again: something has happened.
	awakes := c.state == "inactive" && a.form.Get("State") == "active" && t != nil
	if c.writes++; c.atRest >= 0 && !awakes {
		c.w.wrong("I8: %s writes to Twilio at rest: %s %v", a.replica.name, a.path, a.form)
	}
	if t == nil {
		return
	}
	j := judgement{checker: c, attempt: a, talk: t, sid: sid, known: t.said[:min(a.known.people, len(t.said))], accepts: a.known.accepts(t.accepts)}
	defer j.closes()
	defer j.ends()
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
	if c.atRest >= 0 {
		j.awakes()
	}
}

// learns returns what is to be called when the answer of a look that takes effect now has reached the replica: only then
// has that read it.
func (c *checker) learns(a *attempt) func() {
	if a.method != http.MethodGet || a.status < 200 || a.status > 299 {
		return func() {}
	}
	at, sid, people, channel := time.Now(), c.about(a), 0, ""
	t, workspaces := c.talk(sid), c.workspacesSeen(a)
	if t != nil {
		seen, _ := c.look(sid)
		channel = seen.ChannelStatus
		t.mu.Lock()
		people = len(t.said)
		t.mu.Unlock()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for workspace, seen := range workspaces {
			c.slots[workspace].read[a.replica.name] = seen
		}
		if t != nil {
			c.conversationRead(a, sid, at, people, channel)
		}
	}
}

// conversationRead takes note of what a replica has read of a conversation. The caller holds the state.
func (c *checker) conversationRead(a *attempt, sid string, at time.Time, people int, channel string) {
	read := c.reads[a.replica.name+sid]
	switch parts := strings.Split(a.path, "/"); parts[len(parts)-1] {
	case "Messages":
		read.at, read.people = at, people
	case "Tasks":
		read.tasks = at.Add(-c.w.dialect.TaskIndexLag)
	case "Reservations":
		read.reservations = maps.Clone(read.reservations) // requests on their way have what was known when they were sent
		if read.reservations == nil {
			read.reservations = map[string]time.Time{}
		}
		read.reservations[parts[len(parts)-2]] = at
	default:
		if strings.Contains(a.path, "/Interactions/") {
			if read.channel = at; channel != "active" {
				read.aside = at
			}
		}
	}
	c.reads[a.replica.name+sid] = read
}

// known is what the replica has read of the conversation that a request is about.
func (c *checker) known(a *attempt) reading {
	if workspace := c.workspaceOf(a.path); workspace != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		return reading{workspace: c.slots[workspace].read[a.replica.name]}
	}
	sid := c.about(a)
	if sid != "" && !c.mayAsk(a.replica, sid) {
		c.w.wrong("I7: %s asks for %s, and Twilio has not told it of %s", a.replica.name, a.path, sid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads[a.replica.name+sid]
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

// isLive says whether an agent has the task.
func isLive(task twiliosim.TaskState) bool { return task.Status == "assigned" }

// isHeld says whether the task of an agent holds the conversation.
func isHeld(task twiliosim.TaskState) bool { return isLive(task) && hasHold(task.Attributes) }

// isWaiting says whether a task waits for an agent.
func isWaiting(task twiliosim.TaskState) bool {
	return task.Status == "pending" || task.Status == "reserved"
}
