package inactivity

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// The histories' hold attribute, and the queues that conversations are in.
const (
	historyHold  = "inactivityHold"
	queueSupport = "Support"
	queueSales   = "Sales"
)

// historyTerms is a policy as its author means it. The world writes it down as an InactivityPolicy for the code, and the
// checker judges by it, so that what the code makes of the policy is judged too.
type historyTerms struct {
	timeout                        time.Duration
	warnings                       []time.Duration
	unanswered                     time.Duration // 0: none
	onlyCustomers, firstUnanswered bool
	existing                       v1alpha1.Existing
	holds                          bool
	window                         v1alpha1.OutsideReplyWindow // "": it is not looked at
	hours                          *historyHours               // nil: always open
	openClock                      bool
	closed                         v1alpha1.ClosedHours
	action                         v1alpha1.TimeoutAction
	silent                         bool
	author                         string
	queue                          string // "": every queue
	suspended, managed             bool
}

// spec writes the terms down.
func (t historyTerms) spec() v1alpha1.InactivityPolicySpec {
	length := func(d time.Duration) v1alpha1.Duration { return v1alpha1.Duration(d.String()) }
	spec := v1alpha1.InactivityPolicySpec{
		Workspace: v1alpha1.WorkspaceReference{FriendlyName: "Flex"},
		Timeout:   length(t.timeout),
		Author:    t.author,
		Existing:  t.existing,
		OnTimeout: &v1alpha1.OnTimeout{Action: t.action},
		Suspend:   t.suspended,
	}
	if !t.silent {
		spec.Message = "Goodbye."
	}
	for _, before := range t.warnings {
		spec.Warnings = append(spec.Warnings, v1alpha1.Warning{Before: length(before), Message: "Still there? {{.Remaining}} left."})
	}
	if t.unanswered > 0 {
		spec.Unanswered = &v1alpha1.Unanswered{After: length(t.unanswered), Message: "Sorry to keep you waiting."}
	}
	if t.onlyCustomers {
		spec.WaitingOn = v1alpha1.WaitingOnCustomer
	}
	if t.firstUnanswered {
		spec.Anchor = v1alpha1.AnchorFirstUnanswered
	}
	if t.holds {
		spec.Hold = &v1alpha1.Hold{Attribute: historyHold}
	}
	if t.window != "" {
		spec.ReplyWindow = &v1alpha1.ReplyWindow{Outside: t.window}
		if t.window == v1alpha1.OutsideSendTemplate {
			spec.ReplyWindow.ContentSID = "HX00000000000000000000000000000001"
		}
	}
	if t.hours != nil {
		hours := t.hours.Hours
		if hours.ClosedHours = t.closed; t.openClock {
			hours.Clock = v1alpha1.ClockOpenHours
		}
		spec.Hours = &hours
	}
	if t.queue != "" {
		spec.Selector = &v1alpha1.Selector{TaskQueues: []string{t.queue}}
	}
	return spec
}

// admitted makes of random terms what the API server would let pass.
func (t historyTerms) admitted() historyTerms {
	t.warnings = slices.DeleteFunc(slices.Clone(t.warnings), func(before time.Duration) bool { return before >= t.timeout })
	slices.Sort(t.warnings)
	t.warnings = slices.Compact(t.warnings)
	if t.unanswered >= t.timeout && !t.onlyCustomers {
		t.unanswered = 0
	}
	if t.action == v1alpha1.ActionNotify {
		t.silent = false
	}
	return t
}

// restartClocks says whether a policy takes effect anew when it is edited from the one to the other.
func restartClocks(from, to historyTerms) bool {
	return from.timeout != to.timeout || from.queue != to.queue || from.onlyCustomers != to.onlyCustomers ||
		from.firstUnanswered != to.firstUnanswered || from.existing != to.existing || from.holds != to.holds ||
		from.hours != to.hours || from.openClock != to.openClock || from.closed != to.closed || from.suspended != to.suspended
}

// covers says whether the terms take in conversations whose newest live task is in the queue.
func (t historyTerms) covers(queue string) bool { return t.queue == "" || t.queue == queue }

// elapsed is how much time has passed between two moments, as the policy counts it.
func (t historyTerms) elapsed(from, to time.Time) time.Duration {
	if !t.openClock || t.hours == nil || !from.Before(to) {
		return to.Sub(from)
	}
	return t.hours.until(to) - t.hours.until(from)
}

// reaches is the first moment at which that much time has passed since from, as the policy counts it.
func (t historyTerms) reaches(from time.Time, length time.Duration) time.Time {
	if !t.openClock || t.hours == nil {
		return from.Add(length)
	}
	low, high := from, seasonOf(from).Add(seasonLength-time.Second) // open time never runs backwards
	for high.Sub(low) > time.Second {
		if middle := low.Add(high.Sub(low) / 2).Truncate(time.Second); t.elapsed(from, middle) < length {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// acts is the first moment from then on at which a step is not put off because of closed hours.
func (t historyTerms) acts(from time.Time) time.Time {
	for t.hours != nil && t.closed == v1alpha1.ClosedDefer && !t.hours.open(from) && from.Before(seasonOf(from).Add(seasonLength-time.Minute)) {
		from = from.Truncate(time.Minute).Add(time.Minute)
	}
	return from
}

// Histories take place within a season: an ordinary week, and the ones in which Madrid's clock is put forward, from 02:00 to
// 03:00 on 2026-03-29, and back, from 03:00 to 02:00 on 2026-10-25.
var historySeasons = []time.Time{
	time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC),
}

const seasonLength = 8 * 24 * time.Hour

func seasonOf(moment time.Time) time.Time {
	return historySeasons[slices.IndexFunc(historySeasons, func(begin time.Time) bool {
		return !moment.Before(begin) && moment.Before(begin.Add(seasonLength))
	})]
}

// historyHours are opening hours, and the open time in each season, counted minute by minute on the wall clock.
type historyHours struct {
	v1alpha1.Hours
	mutex sync.Mutex
	// opened holds, by season, how many of its first minutes were open.
	opened map[time.Time][]int32
}

// until is the open time between the beginning of the season and the moment.
func (h *historyHours) until(moment time.Time) time.Duration {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	begin := seasonOf(moment)
	if h.opened[begin] == nil {
		count, counts := int32(0), []int32{0}
		for minute := begin; minute.Before(begin.Add(seasonLength)); minute = minute.Add(time.Minute) {
			if h.open(minute) {
				count++
			}
			counts = append(counts, count)
		}
		h.opened[begin] = counts
	}
	passed := moment.Sub(begin)
	minute := int(passed / time.Minute)
	length := time.Duration(h.opened[begin][minute]) * time.Minute
	if h.opened[begin][minute+1] > h.opened[begin][minute] {
		length += passed % time.Minute
	}
	return length
}

// open says what somebody says who looks at the clock on the wall, and then at the notice on the door.
func (h *historyHours) open(moment time.Time) bool {
	wall := moment.In(historyZone).Format("Mon 2006-01-02 15:04")
	day, date, clock := v1alpha1.Weekday(wall[:3]), v1alpha1.Date(wall[4:14]), wall[15:]
	if slices.Contains(h.Holidays, date) {
		return false
	}
	return slices.ContainsFunc(h.Weekly, func(opening v1alpha1.Opening) bool {
		return slices.Contains(opening.Days, day) && clock >= string(opening.From) && clock < string(opening.To)
	})
}

var historyZone = func() *time.Location {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		panic(err)
	}
	return madrid
}()

// historySchedules are opening hours in Madrid.
var historySchedules = func() []*historyHours {
	workdays := []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri"}
	always := append(slices.Clone(workdays), "Sat", "Sun")
	span := func(days []v1alpha1.Weekday, from, to v1alpha1.TimeOfDay) v1alpha1.Opening {
		return v1alpha1.Opening{Days: days, From: from, To: to}
	}
	hours := func(holidays []v1alpha1.Date, weekly ...v1alpha1.Opening) *historyHours {
		return &historyHours{opened: map[time.Time][]int32{},
			Hours: v1alpha1.Hours{TimeZone: historyZone.String(), Weekly: weekly, Holidays: holidays}}
	}
	return []*historyHours{
		hours(nil, span(workdays, "09:00", "18:00")),
		hours(nil, span(always, "01:30", "04:30"), span(always, "12:00", "14:00")),
		hours(nil, span(always, "22:00", "24:00"), span(always, "00:00", "02:30")),                                 // a night shift
		hours(nil, span(always, "02:15", "02:45"), span(always, "03:30", "03:40"), span(always, "03:35", "04:10")), // in the hour that is left out, or shown twice
		hours([]v1alpha1.Date{"2026-03-29", "2026-10-25"}, span(always, "00:00", "24:00")),
	}
}()

// historyPolicy is a policy in the cluster.
type historyPolicy struct {
	object   *v1alpha1.InactivityPolicy
	terms    historyTerms
	compiled Policy
	// settled is when the policy last took effect, as its author would say, with which terms, and with which policy before
	// it for a part of its conversations. Zero: it has not.
	settled       time.Time
	settledTerms  historyTerms
	settledBefore types.UID
}

// since is when the policy took effect as it is; zero: it is not in force until it is reconciled. before is the policy that
// takes precedence for Sales, if there is one.
func (p *historyPolicy) since(before types.UID) time.Time {
	if restartClocks(p.settledTerms, p.terms) || p.settledBefore != p.after(before) {
		return time.Time{}
	}
	return p.settled
}

// after is the policy that takes precedence for a part of the conversations that this one covers.
func (p *historyPolicy) after(before types.UID) types.UID {
	if p.terms.covers(queueSales) {
		return before
	}
	return ""
}

// historyForce is a policy as a replica has read it.
type historyForce struct {
	name  string
	terms historyTerms
	since time.Time
}

func newHistoryPolicy(name string, uid types.UID, priority int32, created time.Time) *historyPolicy {
	return &historyPolicy{object: &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: uid, CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1alpha1.InactivityPolicySpec{Priority: priority},
		Status:     v1alpha1.InactivityPolicyStatus{Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex"}},
	}}
}

// write stores the policy with other terms.
func (p *historyPolicy) write(terms historyTerms) (err error) {
	p.terms = terms.admitted()
	priority := p.object.Spec.Priority
	p.object.Spec = p.terms.spec()
	p.object.Spec.Priority = priority
	p.compiled, err = Compile(p.object)
	return err
}

// reconcile does what the policy's reconciler does with what clocks depend on: others take precedence, and one of them may
// be before this one. It reports whether the code agrees with the author about since when the policy has been in effect.
func (p *historyPolicy) reconcile(now time.Time, others []Policy, before types.UID) bool {
	status := &p.object.Status
	if p.terms.suspended {
		status.EffectiveSince, status.EffectiveRevision, p.settled = nil, "", time.Time{}
		return true
	}
	if revision := p.compiled.Revision(others); status.EffectiveSince == nil || status.EffectiveRevision != revision {
		status.EffectiveSince, status.EffectiveRevision = new(metav1.NewTime(now)), revision
	}
	if p.since(before).IsZero() {
		p.settled, p.settledTerms, p.settledBefore = now, p.terms, p.after(before)
	}
	return status.EffectiveSince.Time.Equal(p.settled)
}
