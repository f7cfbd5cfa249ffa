//go:build chaos

package chaos

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
	"github.com/flexops-dev/inactivity-operator/test/marker"
)

// stale is how old what a write is based on may be: a look with all that follows from it is given 25 seconds, and a request
// that was sent at the end takes a moment. A replica that was stopped in between knows when it goes on that they are over.
const stale = 27 * time.Second

// held reports whether attributes hold a conversation.
func held(attributes string) bool {
	var all map[string]any
	return json.Unmarshal([]byte(attributes), &all) == nil && all[holdAttribute] == true
}

// event is something that the journal has.
type event struct {
	seq int
	at  time.Time
	// agent says that an agent wrote, and not the customer.
	agent bool
}

// sentText is a text of the operator's.
type sentText struct {
	event
	marker.Entry
	by string
}

// The parts of a conversation that show why nobody may touch it.
const (
	shownByTasks   = "tasks"
	shownByChannel = "channel"
)

// aside is why nobody may touch a conversation, since when, and what a replica has to have read to know.
type aside struct {
	event
	why   string
	shown []string
}

// life is a conversation so far.
type life struct {
	*talk
	said, accepts []event
	texts         []sentText
	// claims are the entries on tasks that announce an end without a notice.
	claims []sentText
	asides map[string]aside
	closed event
	// changed counts how many of another's changes each task has had.
	changed map[string]int
	// writes counts the operator's.
	writes int
}

// checker reads the journal from its beginning, and judges what the operator wrote by the words of the design.
type checker struct {
	w     *world
	lives map[string]*life
	// channels are the conversations by interaction channel.
	channels map[string]string
	// since is when the policies took effect.
	since time.Time
	// reads is the place in the journal of a replica's last reading of a part of a conversation.
	reads map[[3]string]int
	// lags are how late conversations ended; calmLags those that were due after faults had ceased.
	lags, calmLags []time.Duration
}

const partMessages = "messages"

// judge judges the whole journal. Faults had ceased at calmAt.
func (w *world) judge(calmAt time.Time) {
	journal, senders := w.twilio.Journal(), w.exchanges.senders()
	c := &checker{w: w, lives: map[string]*life{}, channels: map[string]string{}, reads: map[[3]string]int{}}
	for _, name := range objects() {
		policy, err := w.cluster.policy(w.t.Context(), name)
		if err != nil {
			w.wrong("%v", err)
			return
		}
		c.since = later(c.since, policy.Status.EffectiveSince.Time)
	}
	for sid, t := range w.talks {
		c.lives[sid] = &life{talk: t, asides: map[string]aside{}, changed: map[string]int{}}
		if t.started.ChannelSID != "" {
			c.channels[t.started.ChannelSID] = sid
		}
	}
	requests := 0
	for _, one := range journal {
		switch one.Kind {
		case twiliosim.KindPeople:
			c.people(one)
		case twiliosim.KindRequest:
			if requests == len(senders) {
				w.wrong("the journal has more requests than were sent")
				return
			}
			c.request(one, senders[requests])
			requests++
		case twiliosim.KindCallback:
			c.callback(one)
		}
	}
	if requests != len(senders) {
		w.wrong("%d requests were sent, the journal has %d", len(senders), requests)
	}
	c.finally(calmAt)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// callback counts what became of Twilio's own callbacks.
func (c *checker) callback(one twiliosim.Entry) {
	what := "callbacks of the simulator: delivered"
	switch {
	case strings.HasPrefix(one.URL, c.w.elsewhere.URL):
		what = "callbacks of the simulator to another party"
	case one.Status == 0 || one.Status >= 300:
		what = "callbacks of the simulator: attempts that failed"
		if one.Status >= 400 && one.Status < 500 {
			c.w.wrong("a genuine callback is answered with %d", one.Status)
		}
	}
	c.w.counts.add(what, 1)
}

// people takes note of what somebody beside the operator did.
func (c *checker) people(one twiliosim.Entry) {
	sid := one.Path
	if reserved, found := c.w.reservations[sid]; found {
		sid = reserved
	} else if tasks, found := c.w.tasks[sid]; found {
		sid = tasks
	}
	l := c.lives[sid]
	if l == nil || c.w.refused[one.Event+" "+one.Path] {
		return
	}
	happened := event{seq: one.Seq, at: one.Time}
	set := func(why string, shown ...string) { l.asides[why] = aside{happened, why, shown} }
	switch one.Event {
	case "customer starts":
		l.said = append(l.said, happened)
		set("no agent has accepted")
	case "customer writes":
		l.said = append(l.said, happened)
	case "agent writes":
		happened.agent = true
		l.said = append(l.said, happened)
	case "agent accepts", "agent resumes":
		l.accepts = append(l.accepts, happened)
		wasHeld, found := l.asides["held"]
		clear(l.asides)
		if found && one.Event == "agent accepts" && l.kind == "held" {
			l.asides["held"] = wasHeld
		}
	case "agent pauses", "agent leaves":
		set(one.Event, shownByTasks, shownByChannel)
	case "agent transfers":
		set(one.Event, shownByTasks, shownByChannel)
	case "task is wrapped up", "task is completed":
		// An ending that has begun is carried through, also when the agent ends the task first.
		if !c.endingUnderWay(l) {
			set(one.Event, shownByTasks)
		}
	case "task gets attributes":
		changes := l.changes[one.Path]
		switch what := changes[l.changed[one.Path]]; what {
		case actHold:
			set("held", shownByTasks)
		case actUnhold:
			delete(l.asides, "held")
		}
		l.changed[one.Path]++
	}
}

// endingUnderWay reports whether a notice was sent, or an end announced, since somebody last wrote.
func (c *checker) endingUnderWay(l *life) bool {
	last := 0
	for _, said := range l.said {
		last = said.seq
	}
	begun := func(text sentText) bool { return text.seq > last && (text.Step == "notice" || text.Step == "finish") }
	return slices.ContainsFunc(l.texts, begun) || slices.ContainsFunc(l.claims, begun)
}

var evaluated = regexp.MustCompile(`^conversationSid == "(CH[0-9a-f]{32})"$`)

// about is the conversation that a request is about, and which part of it.
func (c *checker) about(one twiliosim.Entry) (l *life, part string) {
	parts := strings.Split(strings.TrimPrefix(one.Path, "/v1/"), "/")
	sid := ""
	switch {
	case parts[0] == "Conversations" && len(parts) > 1:
		sid, part = parts[1], "conversation"
		if len(parts) > 2 {
			part = strings.ToLower(parts[2])
		}
	case parts[0] == "Interactions" && len(parts) > 3:
		sid, part = c.channels[parts[3]], shownByChannel
	case parts[0] == "Workspaces" && len(parts) > 3 && parts[2] == "Tasks":
		sid, part = c.w.tasks[parts[3]], shownByTasks
	case parts[0] == "Workspaces" && len(parts) > 2 && parts[2] == "Tasks":
		if match := evaluated.FindStringSubmatch(one.Query.Get("EvaluateTaskAttributes")); match != nil {
			sid, part = match[1], shownByTasks
		}
	}
	if strings.HasPrefix(sid, forgedPrefix) {
		c.w.wrong("I7: a forged callback has led to %s %s %v", one.Method, one.Path, one.Query)
	}
	return c.lives[sid], part
}

// request judges a request.
func (c *checker) request(one twiliosim.Entry, by string) {
	if by == others {
		return
	}
	c.w.counts.add("requests to Twilio", 1)
	l, part := c.about(one)
	switch {
	case l == nil:
		return
	case !one.Write:
		if one.Status == 200 {
			c.reads[[3]string{by, l.started.ConversationSID, part}] = one.Seq
		}
		return
	case !one.Effect:
		return
	}
	l.writes++
	j := judgement{checker: c, life: l, one: one, by: by, event: event{seq: one.Seq, at: one.Time}}
	if terms, selected := termsOf(l.queue); selected {
		j.terms = terms
	} else {
		j.wrong("I4: no policy selects it")
		return
	}
	j.touchable()
	own, marked := marker.In(one.Form.Get("Attributes"))
	switch {
	case part == partMessages:
		j.text(own, marked)
	case one.Form.Has("Attributes"):
		j.claim(own, marked)
	case one.Form.Has("AssignmentStatus"), part == shownByChannel, one.Form.Get("State") == "closed":
		j.ending()
	}
	if part == shownByChannel || one.Form.Get("State") == "closed" {
		if l.closed.seq == 0 {
			l.closed = j.event
		}
	}
}

// finally checks what has to be true in the end, and measures how late conversations ended.
func (c *checker) finally(calmAt time.Time) {
	state := c.w.twilio.State()
	ended, overtaken, open := 0, 0, map[string]int{}
	for _, seen := range state.Conversations {
		l := c.lives[seen.SID]
		if l == nil {
			c.w.wrong("conversation %s belongs to nobody", seen.SID)
			continue
		}
		c.others(state, seen, l)
		why := c.w.stays(state, seen)
		switch {
		case seen.State == "closed":
			ended++
			if !c.late(l, calmAt) {
				overtaken++
			}
		case why == "":
			c.w.wrong("I3: %s (%s) has not ended", seen.SID, l.kind)
		default:
			open[why]++
		}
	}
	c.w.counts.add("conversations ended", ended)
	c.w.counts.add("of them while somebody wrote or accepted", overtaken)
	for why, n := range open {
		c.w.counts.add("conversations left open: "+why, n)
	}
	c.w.counts.add("answers of writes lost", c.w.loser.lost)
	c.w.tell("due to closed, all: %s", spread(c.lags))
	c.w.tell("due to closed, of those due after faults had ceased: %s", spread(c.calmLags))
}

// tardy is later than a wake-up of Twilio's leads to an end: the leader's look has found it.
const tardy = 5 * time.Second

// late measures how long after it was due a conversation ended. It reports false when it was not due: somebody wrote at the
// very moment.
func (c *checker) late(l *life, calmAt time.Time) bool {
	terms, _ := termsOf(l.queue)
	start := c.since
	for _, one := range slices.Concat(l.said, l.accepts) {
		if one.seq < l.closed.seq {
			start = later(start, one.at)
		}
	}
	due := start.Add(terms.timeout)
	for _, text := range l.texts {
		if text.Step == "warning" && text.at.After(start) { // and its whole before is left
			due = later(due, text.at.Add(terms.warning))
		}
	}
	lag := l.closed.at.Sub(due)
	if lag < -time.Second { // Twilio's dates are whole seconds
		return false
	}
	lag = max(lag, 0)
	c.lags = append(c.lags, lag)
	if due.After(calmAt) {
		c.calmLags = append(c.calmLags, lag)
	}
	if lag > tardy {
		c.w.counts.add("conversations that ended more than 5 s late", 1)
	}
	if after := l.closed.at.Sub(later(due, calmAt)); after > lateLimit {
		c.w.wrong("I3: %s (%s) was closed %s after it was due and faults had ceased", l.started.ConversationSID, l.kind, after)
	}
	return true
}

// others checks that what others have on a conversation is as they left it.
func (c *checker) others(state twiliosim.State, seen twiliosim.ConversationState, l *life) {
	var attributes map[string]any
	if json.Unmarshal([]byte(seen.Attributes), &attributes) != nil || attributes["ticket"] != l.ticket {
		c.w.wrong("I5: the attributes of %s are %s", seen.SID, seen.Attributes)
	}
	if l.timer && seen.ClosedAfter != foreignTimer {
		c.w.wrong("I5: another program's timer of %s is %s", seen.SID, seen.ClosedAfter)
	}
	ours := 0
	kept := l.webhook == ""
	for _, hook := range seen.Webhooks {
		kept = kept || hook.SID == l.webhook && hook.URL == c.w.elsewhere.URL+"/webhook" && slices.Equal(hook.Filters, []string{"onMessageAdded"})
		if strings.HasPrefix(hook.URL, c.w.balancer.url) {
			ours++
		}
	}
	if !kept {
		c.w.wrong("I5: another party's webhook of %s is gone: %+v", seen.SID, seen.Webhooks)
	}
	if ours > 1 {
		c.w.counts.add("conversations with a webhook of ours twice", 1)
	}
	for _, task := range state.Tasks {
		if task.ConversationSID != seen.SID {
			continue
		}
		var attributes map[string]any
		if err := json.Unmarshal([]byte(task.Attributes), &attributes); err != nil {
			c.w.wrong("I5: the attributes of task %s are %s", task.SID, task.Attributes)
			continue
		}
		for key, want := range map[string]any{"conversationSid": seen.SID, "channelType": l.channel} {
			if attributes[key] != want {
				c.w.wrong("I5: task %s has %s %v, want %v", task.SID, key, attributes[key], want)
			}
		}
		if crm := attributes["crm"]; task.SID == l.started.TaskSID && l.crm >= 0 && crm != float64(l.crm) {
			c.w.wrong("I5: task %s has crm %v, want %d", task.SID, crm, l.crm)
		}
	}
}
