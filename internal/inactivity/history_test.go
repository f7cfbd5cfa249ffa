package inactivity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// historyMove is something that happens in a history; n says how exactly.
type historyMove struct {
	what string
	n    int
}

// historyMoves are what can happen, and how often compared to each other.
var historyMoves = []struct {
	what   string
	weight int
	do     func(w *world, n int)
}{
	{"time passes", 12, func(w *world, n int) { w.wait(pick(n, historyWaits)) }},
	{"a long time passes", 1, func(w *world, n int) { w.wait(pick(n, []time.Duration{31 * time.Minute, 3 * time.Hour})) }},
	{"time passes until something is planned", 4, func(w *world, n int) { w.waitForPlan(pick(n, []int{0, 0, -1, 1, 30, 31})) }},
	{"time passes until something is due", 16, func(w *world, n int) { w.waitForStep(n/4, pick(n, []int{0, 1, -1, 0})) }},
	{"a replica looks", 14, func(w *world, n int) { w.lookTwice(n % 2) }},
	{"a replica begins to look", 8, func(w *world, n int) { w.begin(n % 2) }},
	{"a replica goes on", 24, func(w *world, n int) { w.goOn(n%2, 1+n/2%4) }},
	{"two replicas look at once", 8, func(w *world, n int) { w.lookTogether(n) }},
	{"a replica crashes", 4, func(w *world, n int) {
		if round := w.replicas[n%2].round; round != nil {
			round.fail("is cut off")
		}
	}},
	{"the customer writes", 4, func(w *world, _ int) { w.customerWrites("") }},
	{"an agent writes", 7, func(w *world, _ int) { w.agentWrites() }},
	{"a program writes", 2, func(w *world, n int) { w.programWrites(pick(n, []string{"bot", systemAuthor})) }},
	{"a web chat customer forges a marker", 1, func(w *world, n int) { w.forge(n) }},
	{"an agent accepts", 4, func(w *world, n int) { w.acceptAndTell(n) }},
	{"an accept event arrives late", 1, func(w *world, n int) {
		if len(w.accepts) > 0 {
			w.hear(n%2, w.accepts[n%len(w.accepts)])
			w.lookThrough(n % 2)
		}
	}},
	{"the conversation is transferred", 2, func(w *world, n int) { w.transfer(n) }},
	{"an agent ends their part", 2, func(w *world, n int) {
		if live := w.with(TaskAssigned); len(live) > 1 || len(live) == 1 && n%4 == 0 {
			w.end(live[n%2%len(live)], pick(n/2, []TaskStatus{TaskCompleted, TaskWrapping}))
		}
	}},
	{"wrapping up ends", 1, func(w *world, _ int) {
		for _, task := range w.with(TaskWrapping) {
			w.end(task, TaskCompleted)
		}
	}},
	{"nobody accepts", 1, func(w *world, _ int) {
		for _, task := range w.with(TaskPending) {
			w.end(task, TaskCanceled)
		}
		if w.channel == "transfer" {
			w.channel = ChannelActive
		}
	}},
	// The task may end a while after the channel has changed.
	{"the agent leaves", 1, func(w *world, n int) {
		w.putAside("inactive", pick(n, []TaskStatus{TaskCompleted, TaskWrapping, TaskAssigned}))
	}},
	{"the agent pauses", 1, func(w *world, n int) { w.putAside("pause", pick(n, []TaskStatus{TaskCompleted, TaskAssigned})) }},
	{"the agent resumes", 3, func(w *world, n int) {
		if (w.channel == "pause" || w.channel == "inactive") && w.state != ConversationClosed {
			if w.channel = ChannelActive; len(w.with(TaskAssigned)) == 0 {
				w.invite(queueSupport)
				w.acceptAndTell(n)
			}
		}
	}},
	{"another program closes the conversation", 1, func(w *world, n int) {
		if n%4 == 0 {
			w.state = ConversationClosed
			w.tell("another program closes the conversation")
		}
	}},
	{"the agent ends the conversation", 1, func(w *world, n int) {
		if len(w.with(TaskAssigned)) > 0 && n%4 == 0 {
			w.tell("the agent ends the conversation")
			w.closeChannel(n%8 == 0)
		}
	}},
	{"the hold attribute is set", 2, func(w *world, n int) { w.setHold(n%2 == 0, w.holdValue(n/2)) }},
	{"the hold attribute is removed", 3, func(w *world, n int) { w.setHold(n%2 == 0, nil) }},
	{"the policy is edited", 3, func(w *world, n int) { w.editSomething(n) }},
	{"a policy for Sales comes or goes", 1, func(w *world, n int) {
		w.toggleSales(historyTerms{timeout: pick(n, historyTimeouts), action: v1alpha1.ActionClose, managed: true})
	}},
	{"the policies are reconciled", 3, func(w *world, _ int) { w.reconcile() }},
	{"Twilio fails", 5, func(w *world, n int) {
		w.fault = pick(n, []string{"lost", "delayed", "unavailable", "conflict"})
		w.tell("fault: %s", w.fault)
	}},
	{"Twilio refuses a text", 1, func(w *world, n int) {
		step := pick(n, []Step{StepNotice, StepWarning, StepUnanswered})
		w.refuses[step] = !w.refuses[step]
		w.tell("Twilio refuses texts: %v", w.refuses)
	}},
	{"another program changes the task", 2, func(w *world, n int) {
		for _, task := range w.with(TaskAssigned) {
			task.set("other", n)
		}
	}},
	{"another program adds a webhook", 1, func(w *world, n int) {
		if len(w.webhooks) < MaxWebhooks {
			w.webhooks = append(w.webhooks, fmt.Sprintf("https://park.example.com/%d", n))
		}
	}},
	{"another program removes the timer", 1, func(w *world, _ int) { w.timer, w.inactiveAt = 0, time.Time{} }},
	{"wake-ups are lost, or arrive again", 2, func(w *world, n int) {
		w.timersArrive, w.plansArrive = n%2 == 0, n/2%2 == 0
	}},
}

var (
	historyTimeouts = []time.Duration{15 * time.Minute, 5 * time.Minute, 2 * time.Minute, time.Minute, time.Hour}
	historyBefores  = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 90 * time.Second, 10 * time.Minute}
	historyWaits    = []time.Duration{
		time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 29 * time.Second, 31 * time.Second, time.Minute,
		time.Second, 2 * time.Second, 90 * time.Second, 3 * time.Minute, 5 * time.Minute, 11 * time.Minute,
	}
)

// pick is one of the values.
func pick[T any](n int, values []T) T { return values[((n%len(values))+len(values))%len(values)] }

// drawMoves draws moves by their weights; some are that many times as likely.
func drawMoves(t *rapid.T, likely map[string]int) []historyMove {
	var names []string
	for _, move := range historyMoves {
		for range move.weight * max(1, likely[move.what]) {
			names = append(names, move.what)
		}
	}
	drawMove := rapid.Custom(func(t *rapid.T) historyMove {
		return historyMove{what: rapid.SampledFrom(names).Draw(t, "what"), n: rapid.IntRange(0, 255).Draw(t, "n")}
	})
	return slices.Concat(rapid.SliceOfN(rapid.SliceOfN(drawMove, 0, 12), 4, 12).Draw(t, "moves")...)
}

func (w *world) move(move historyMove) {
	for _, known := range historyMoves {
		if known.what == move.what {
			known.do(w, move.n)
		}
	}
}

// wait lets time pass, up to three days after the season has begun.
func (w *world) wait(length time.Duration) {
	if to := w.now.Add(length); to.Before(seasonOf(w.now).Add(5 * 24 * time.Hour)) {
		w.advance(to)
	}
}

// waitForPlan waits for the next look that the leader has planned, or so many seconds more.
func (w *world) waitForPlan(seconds int) {
	leader := w.replicas[0]
	if to := leader.lookAt.Add(time.Duration(seconds)*time.Second - leader.skew - historySlack); !leader.lookAt.IsZero() && to.After(w.now) {
		w.wait(to.Sub(w.now))
	}
}

// waitForStep waits for one of the next steps of the plain policy, give or take some seconds.
func (w *world) waitForStep(n, seconds int) {
	policy := w.policies[len(w.policies)-1]
	terms := policy.terms
	s := w.see().stands(historyForce{terms: terms, since: policy.settled}, w.now)
	if s.accept == nil {
		return
	}
	steps := []time.Time{terms.reaches(s.start, terms.timeout)}
	for _, before := range terms.warnings {
		steps = append(steps, terms.reaches(s.start, terms.timeout-before))
	}
	for _, deed := range w.deeds {
		if deed.what == "text" && deed.step == StepWarning {
			steps = append(steps, terms.reaches(deed.landed, deed.before))
		}
	}
	if s.waits != nil && terms.unanswered > 0 {
		steps = append(steps, terms.reaches(s.waitStart, terms.unanswered))
	}
	steps = slices.DeleteFunc(steps, func(step time.Time) bool { return !step.After(w.now) })
	if slices.SortFunc(steps, time.Time.Compare); len(steps) > 0 {
		w.wait(max(0, steps[min(n%2, len(steps)-1)].Sub(w.now)+time.Duration(seconds)*time.Second))
	}
}

// lookTwice looks, and looks again: a replica that has done what there is to do has nothing to write then.
func (w *world) lookTwice(replica int) {
	steady := w.fault == "" && w.replicas[replica].round == nil
	if w.lookThrough(replica); !steady {
		return
	}
	if deeds := len(w.deeds); w.lookThrough(replica) {
		w.wrong("I8: a second look writes %v", w.deeds[deeds:])
	}
}

// lookTogether has both replicas look again and again when something is due, one call of the one and one call of the other
// in some order, while Twilio may fail.
func (w *world) lookTogether(n int) {
	w.waitForStep(n/4, 0)
	if fault := pick(n, []string{"", "delayed", "lost", "conflict"}); fault != "" {
		w.fault = fault
		w.tell("fault: %s", fault)
	}
	for i := range 40 {
		replica := n >> (i % 8) & 1
		w.begin(replica)
		if w.goOn(replica, 1+i%3); i%5 == 4 {
			w.wait(time.Second)
		}
	}
}

// goOn makes so many calls of the round that a replica is at.
func (w *world) goOn(replica, calls int) {
	for range calls {
		if round := w.replicas[replica].round; round != nil {
			round.step()
		}
	}
}

// forge has a web chat customer write a message that looks like the operator's.
func (w *world) forge(n int) {
	if !w.isWeb() {
		return
	}
	marker := Marker{Policy: "team/plain", Step: pick(n, []Step{StepNotice, StepWarning, StepUnanswered}), Episode: "WR-WT01",
		IdleSince: w.now, BeforeSeconds: 60, Action: v1alpha1.ActionClose}
	if len(w.messages) > 0 {
		marker.Episode = w.messages[len(w.messages)-1].SID
	}
	attributes, err := marker.Attributes()
	if err != nil {
		w.Fatalf("%v", err)
	}
	w.customerWrites(attributes)
}

// acceptAndTell has an agent accept; the event arrives at once, or later, or never.
func (w *world) acceptAndTell(n int) {
	if w.accept() && n%4 != 0 {
		w.hear(n%2, w.accepts[len(w.accepts)-1])
		if n%4 > 1 {
			w.lookThrough(n % 2)
		}
	}
}

// transfer invites another agent.
func (w *world) transfer(n int) {
	if w.state == ConversationClosed || w.channel != ChannelActive || len(w.with(TaskPending)) > 0 {
		return
	}
	if w.invite(pick(n, []string{queueSupport, queueSales})); w.channel == ChannelActive && n/2%2 == 0 {
		w.channel = "transfer"
	}
}

// holdValue is a value of the hold attribute.
func (w *world) holdValue(n int) any {
	moment := func(in time.Duration) string { return w.now.Add(in).Format(time.RFC3339) }
	return pick(n, []any{true, moment(5 * time.Minute), moment(30 * time.Minute), moment(-time.Minute), false, "", "soon", 7.0})
}

// editSomething edits one field of the policy.
func (w *world) editSomething(n int) {
	m := n / 12
	edits := []struct {
		what   string
		change func(*historyTerms)
	}{
		{"timeout", func(t *historyTerms) { t.timeout = pick(m, historyTimeouts) }},
		{"warnings", func(t *historyTerms) { t.warnings = slices.Clone(historyBefores[:m%len(historyBefores)]) }},
		{"waitingOn", func(t *historyTerms) { t.onlyCustomers = !t.onlyCustomers }},
		{"anchor", func(t *historyTerms) { t.firstUnanswered = !t.firstUnanswered }},
		{"existing", func(t *historyTerms) { t.existing = pick(m, historyExisting) }},
		{"hold", func(t *historyTerms) { t.holds = !t.holds }},
		{"action", func(t *historyTerms) { t.action = pick(m, historyActions) }},
		{"message", func(t *historyTerms) { t.silent = !t.silent }},
		{"unanswered", func(t *historyTerms) { t.unanswered = pick(m, []time.Duration{0, time.Minute, 4 * time.Minute}) }},
		{"suspend", func(t *historyTerms) { t.suspended = !t.suspended }},
		{"selector", func(t *historyTerms) { t.queue = pick(m, []string{"", queueSupport}) }},
		{"replyWindow", func(t *historyTerms) { t.window = pick(m, historyWindows) }},
	}
	edit := pick(n, edits)
	w.edit(edit.what, edit.change)
}

var (
	historyExisting = []v1alpha1.Existing{v1alpha1.ExistingGrace, v1alpha1.ExistingImmediate, v1alpha1.ExistingIgnore}
	historyActions  = []v1alpha1.TimeoutAction{v1alpha1.ActionClose, v1alpha1.ActionWrapUp, v1alpha1.ActionNotify}
	historyWindows  = []v1alpha1.OutsideReplyWindow{"", v1alpha1.OutsideCloseSilently, v1alpha1.OutsideSendTemplate, v1alpha1.OutsideSkip}
	historyClosed   = []v1alpha1.ClosedHours{v1alpha1.ClosedAct, v1alpha1.ClosedCloseSilently, v1alpha1.ClosedDefer}
)

// drawTerms draws a policy.
func drawTerms(t *rapid.T) historyTerms {
	rarely := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 3 }
	return historyTerms{
		timeout:         rapid.SampledFrom(historyTimeouts).Draw(t, "timeout"),
		warnings:        rapid.SliceOfN(rapid.SampledFrom(historyBefores), 0, 3).Draw(t, "warnings"),
		unanswered:      rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 4 * time.Minute}).Draw(t, "unanswered"),
		onlyCustomers:   rarely("onlyCustomers"),
		firstUnanswered: rarely("firstUnanswered"),
		existing:        rapid.SampledFrom(historyExisting).Draw(t, "existing"),
		holds:           rarely("holds"),
		action:          rapid.SampledFrom([]v1alpha1.TimeoutAction{v1alpha1.ActionClose, v1alpha1.ActionClose, v1alpha1.ActionWrapUp, v1alpha1.ActionNotify}).Draw(t, "action"),
		silent:          rarely("silent"),
		author:          rapid.SampledFrom([]string{"", "Support"}).Draw(t, "author"),
		managed:         !rarely("disabled"),
	}
}

// historyKind is a kind of histories.
type historyKind struct {
	// season it takes place in, and how many hours after its beginning it begins.
	season, from, to int
	// waits are how long the customer may wait in the queue.
	waits []time.Duration
	// changes makes of any policy one of this kind.
	changes func(t *rapid.T, terms *historyTerms)
	channel []string
	// likely are the moves that are more likely than otherwise, and how many times.
	likely map[string]int
}

var historyKinds = map[string]historyKind{
	"any policy": {season: 0, from: 33, to: 33},
	"a policy that is edited": {season: 0, from: 33, to: 33, likely: map[string]int{
		"the policy is edited": 8, "the policies are reconciled": 4, "a policy for Sales comes or goes": 3,
	}},
	"endings that are cut off": {season: 0, from: 33, to: 33, likely: map[string]int{
		"two replicas look at once": 3, "a replica crashes": 3, "Twilio fails": 2, "an agent ends their part": 4, "an agent accepts": 3,
		"the conversation is transferred": 4, "wrapping up ends": 3, "the agent leaves": 3, "the agent pauses": 2, "the hold attribute is set": 2,
	}},
	"a reply window": {season: 0, from: 33, to: 33, channel: []string{"whatsapp"},
		waits: []time.Duration{0, 20 * time.Minute, 24*time.Hour - 10*time.Minute, 24*time.Hour - time.Minute, 24 * time.Hour, 30 * time.Hour},
		changes: func(t *rapid.T, terms *historyTerms) {
			terms.window = rapid.SampledFrom(historyWindows[1:]).Draw(t, "window")
		}},
	"holds": {season: 0, from: 33, to: 33, changes: func(_ *rapid.T, terms *historyTerms) { terms.holds = true }, likely: map[string]int{
		"the hold attribute is set": 5, "the hold attribute is removed": 5,
	}},
	"opening hours, and a weekend":          {season: 0, from: 30, to: 46, changes: drawHours, likely: map[string]int{"a long time passes": 5}},
	"opening hours when summer time begins": {season: 1, from: 42, to: 51, changes: drawHours, likely: map[string]int{"a long time passes": 5}},
	"opening hours when summer time ends":   {season: 2, from: 42, to: 51, changes: drawHours, likely: map[string]int{"a long time passes": 5}},
}

func drawHours(t *rapid.T, terms *historyTerms) {
	terms.hours = rapid.SampledFrom(historySchedules).Draw(t, "hours")
	terms.openClock = rapid.Bool().Draw(t, "openClock")
	terms.closed = rapid.SampledFrom(historyClosed).Draw(t, "closed")
}

// draw draws a customer, or an agent who writes first, and an accept, of that kind.
func (k historyKind) draw(t *rapid.T) *world {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	terms := drawTerms(t)
	if k.changes != nil {
		k.changes(t, &terms)
	}
	begin := historySeasons[k.season].Add(time.Duration(60*k.from+rapid.IntRange(0, 60*(k.to-k.from)).Draw(t, "minute")) * time.Minute)
	channels := k.channel
	if channels == nil {
		channels = []string{"sms", "web", "whatsapp"}
	}
	w := newWorld(t, begin, terms,
		historyDialect{restRestarts: flag("restRestarts"), restReactivates: flag("restReactivates"), closingCloses: flag("closingCloses")},
		historyConnection{
			channelType: rapid.SampledFrom(channels).Draw(t, "channelType"),
			named:       rapid.SampledFrom([]int{everyTask, 1, 0}).Draw(t, "named"),
			guest:       flag("guest"),
			plain:       rapid.IntRange(0, 5).Draw(t, "plain") == 5,
			outbound:    rapid.IntRange(0, 7).Draw(t, "outbound") == 7,
		})
	w.replicas[0].skew = rapid.SampledFrom([]time.Duration{0, 2 * time.Minute, -2 * time.Minute}).Draw(t, "skew of the leader")
	w.replicas[1].skew = rapid.SampledFrom([]time.Duration{0, -2 * time.Minute, 2 * time.Minute}).Draw(t, "skew of the other")
	if k.waits != nil {
		w.wait(rapid.SampledFrom(k.waits).Draw(t, "wait"))
	}
	if rapid.IntRange(0, 7).Draw(t, "not accepted") < 7 {
		w.acceptAndTell(3)
	}
	return w
}

// live plays a history to its end, and fails the test when it has gone wrong.
func (w *world) live(moves []historyMove, end historyWaking) {
	for _, move := range moves {
		if w.isOver() {
			break
		}
		w.move(move)
	}
	w.settle()
	if deadline, due := w.deadline(end.late); due {
		by, _ := w.owner()
		w.tell("from now on nothing happens and nothing fails; the end has to come by %s", deadline.Format("02 15:04:05"))
		if end.wake(w, by.terms, deadline); !w.hasEnded(by) {
			w.wrong("I3: the conversation has not ended by %s", deadline)
		}
	}
	w.judge()
	w.report()
}

// isOver says whether nothing can happen any more.
func (w *world) isOver() bool {
	return w.state == ConversationClosed && len(w.with(TaskPending, TaskAssigned)) == 0 && len(w.flights) == 0 &&
		w.replicas[0].round == nil && w.replicas[1].round == nil
}

// settle ends what is under way, and with it the faults.
func (w *world) settle() {
	for i := range w.replicas {
		if round := w.replicas[i].round; round != nil {
			round.fail("is cut off")
		}
		w.replicas[i].lookAt, w.replicas[i].waiting = time.Time{}, nil
	}
	w.fault, w.timersArrive, w.plansArrive = "", false, false
	w.advance(w.now.Add(historyPatience))
	w.reconcile()
}

// historyWaking is a way in which the operator is woken once nothing happens any more, so that each step is done at most
// that much late.
type historyWaking struct {
	late time.Duration
	wake func(w *world, terms historyTerms, deadline time.Time)
}

var historyWakings = map[string]historyWaking{
	"something wakes it every 30 seconds": {30 * time.Second, func(w *world, terms historyTerms, deadline time.Time) { w.wakeEvery(30*time.Second, terms, deadline) }},
	"something wakes it now and then":     {11 * time.Minute, func(w *world, terms historyTerms, deadline time.Time) { w.wakeEvery(11*time.Minute, terms, deadline) }},
	"the leader keeps to its plans, and nothing else wakes it": {historySlack + time.Second, func(w *world, _ historyTerms, deadline time.Time) {
		w.plansArrive = true
		w.lookThrough(0)
		w.advance(deadline)
	}},
	"Twilio's timer alone wakes it": {MinTimer + timerTolerance + timerGrain, func(w *world, terms historyTerms, deadline time.Time) {
		// Without a webhook the leader's plans have to do. Other replicas have plans only for what is due in a moment.
		w.timersArrive, w.plansArrive, w.wakes = true, true, []int{1}
		if !terms.managed || len(w.webhooks) == MaxWebhooks && !slices.Contains(w.webhooks, historyWebhook) {
			w.wakes = []int{0}
		}
		w.lookThrough(w.wakes[0])
		w.advance(deadline)
	}},
}

// wakeEvery has the replicas look in turn. A night in which nothing can happen is passed over.
func (w *world) wakeEvery(interval time.Duration, terms historyTerms, deadline time.Time) {
	for replica := 0; w.now.Before(deadline); replica++ {
		w.lookThrough(replica % len(w.replicas))
		next := w.now.Add(interval)
		if terms.hours != nil && (terms.openClock || terms.closed == v1alpha1.ClosedDefer) {
			for !terms.hours.open(next) && next.Before(deadline) {
				next = next.Add(time.Minute)
			}
		}
		w.advance(next)
	}
	w.lookThrough(0)
}

// report ends the test if something is wrong.
func (w *world) report() {
	if len(w.problems) > 0 {
		w.Fatalf("%s\n\n%s", strings.Join(w.problems, "\n"), strings.Join(w.story, "\n"))
	}
}

// TestHistories plays random histories of a conversation and has all that the operator wrote in them judged. A failure says
// how to play its history again; -rapid.checks=10000 plays a hundred times as many.
func TestHistories(t *testing.T) {
	for kind, histories := range historyKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w, moves := histories.draw(t), drawMoves(t, histories.likely)
				w.live(moves, historyWakings[rapid.SampledFrom(slices.Sorted(maps.Keys(historyWakings))).Draw(t, "woken")])
			})
		})
	}
}
