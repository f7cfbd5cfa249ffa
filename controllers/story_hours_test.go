package controllers_test

import (
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// officeHours are from nine to six, from Monday to Friday, in UTC.
func officeHours(change ...func(*v1alpha1.Hours)) edit {
	return opening(v1alpha1.Opening{Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "09:00", To: "18:00"}, change...)
}

// openAllDay is never closed, unless change says so.
func openAllDay(change ...func(*v1alpha1.Hours)) edit {
	return opening(v1alpha1.Opening{Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: "00:00", To: "24:00"}, change...)
}

func opening(weekly v1alpha1.Opening, change ...func(*v1alpha1.Hours)) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Hours = &v1alpha1.Hours{TimeZone: "UTC", Weekly: []v1alpha1.Opening{weekly}}
		for _, c := range change {
			c(spec.Hours)
		}
	}
}

func accruing(clock v1alpha1.HoursClock) func(*v1alpha1.Hours) {
	return func(hours *v1alpha1.Hours) { hours.Clock = clock }
}

func whenClosed(closed v1alpha1.ClosedHours) func(*v1alpha1.Hours) {
	return func(hours *v1alpha1.Hours) { hours.ClosedHours = closed }
}

// startOn makes a world with a policy in force, on the next such day of the week and at that time of the day in UTC.
func startOn(t *testing.T, day time.Weekday, at time.Duration, change ...edit) (*world, time.Time) {
	t.Helper()
	w := newWorld(t)
	now := w.clock.Now().UTC()
	midnight := now.Truncate(24 * time.Hour)
	days := int(day-midnight.Weekday()+7) % 7
	begin := midnight.AddDate(0, 0, days).Add(at + 400*time.Millisecond)
	if begin.Before(now) {
		begin = begin.AddDate(0, 0, 7)
	}
	w.clock.SetTime(begin)
	w.startOperator()
	w.inForce(change...)
	return w, begin.Truncate(time.Second)
}

// clockTime is a time of the day.
func clockTime(hours, minutes int) time.Duration {
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
}

func TestWithClockOpenHoursTheNightDoesNotCount(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 50), officeHours(accruing(v1alpha1.ClockOpenHours)))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute) // until it closes
	morning := begin.Add(15*time.Hour + 10*time.Minute)
	w.leapTo(morning)
	w.keepUp(5*time.Minute - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", morning.Add(5*time.Minute)))
}

func TestWithClockOpenHoursWarningsAreCountedInOpenHoursToo(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 48), officeHours(accruing(v1alpha1.ClockOpenHours)), warning("5m", "Still there?"))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.eventuallySaid(started, "Still there?") // two minutes before it closes
	morning := begin.Add(15*time.Hour + 12*time.Minute)
	w.leapTo(morning)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.keepUp(3 * time.Minute)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
	w.Expect(w.said(started)[1].Created).To(gomega.BeTemporally(">=", morning.Add(3*time.Minute)))
}

func TestOverAWeekendTwilioDeletesTheTaskAndNobodyIsTold(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Friday, clockTime(17, 50), officeHours(accruing(v1alpha1.ClockOpenHours)))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.leapTo(begin.Add(25 * time.Hour))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("deleted"), "an assigned task lives for 24 hours")
	w.leapTo(begin.Add(3*24*time.Hour - 8*time.Hour - 50*time.Minute)) // Monday at nine
	w.keepUp(2 * timeout)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
}

func TestHoursAreThoseOfTheTimeZonesClock(t *testing.T) {
	t.Parallel()
	// Kathmandu is 5 hours and 45 minutes ahead of UTC, all year round: it opens there at nine, at 03:15 in UTC.
	w, begin := startOn(t, time.Wednesday, clockTime(3, 0),
		officeHours(accruing(v1alpha1.ClockOpenHours), func(hours *v1alpha1.Hours) { hours.TimeZone = "Asia/Kathmandu" }))
	started := w.acceptedConversation()
	w.keepUp(2*timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", begin.Add(2*timeout)))
}

func TestWhatIsDueInClosedHoursIsDoneAllTheSameUnlessThePolicySaysOtherwise(t *testing.T) {
	for _, closed := range []v1alpha1.ClosedHours{"", v1alpha1.ClosedAct} {
		t.Run("closedHours "+string(closed), func(t *testing.T) {
			t.Parallel()
			w, _ := startOn(t, time.Wednesday, clockTime(17, 58), officeHours(whenClosed(closed)), warning("5m", "Still there?"))
			started := w.acceptedConversation()
			w.keepUp(10 * time.Minute)
			w.eventuallySaid(started, "Still there?")
			w.keepUp(5 * time.Minute)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
		})
	}
}

func TestWithClosedHoursCloseSilentlyConversationsEndAtNightWithoutATextAndWithoutAWarning(t *testing.T) {
	t.Parallel()
	w, _ := startOn(t, time.Wednesday, clockTime(17, 58), officeHours(whenClosed(v1alpha1.ClosedCloseSilently)), warning("5m", "Still there?"))
	night := w.acceptedConversation()
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.taskStatus(night)).To(gomega.Equal("assigned"))
	w.keepUp(2 * time.Second)
	w.ends(night)
	w.Expect(w.writesTo("/Messages")).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(night)).To(gomega.Equal("completed"))
}

func TestWithClosedHoursCloseSilentlyTheDayIsAsEver(t *testing.T) {
	t.Parallel()
	w, _ := startOn(t, time.Wednesday, clockTime(12, 0), officeHours(whenClosed(v1alpha1.ClosedCloseSilently)), warning("5m", "Still there?"))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.eventuallySaid(started, "Still there?")
	w.keepUp(5 * time.Minute)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
}

func TestWithClosedHoursDeferWhatIsDueAtNightIsDoneWhenItOpens(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 58), officeHours(whenClosed(v1alpha1.ClosedDefer)))
	started := w.acceptedConversation()
	w.keepUp(20 * time.Minute)
	morning := begin.Add(15*time.Hour + 2*time.Minute)
	w.leapTo(morning.Add(-2 * time.Second))
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", morning))
}

func TestWithClosedHoursDeferAWarningThatWasDueAtNightIsSentInTheMorningAndItsTimeIsKept(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 58), officeHours(whenClosed(v1alpha1.ClosedDefer)), warning("5m", "Still there?"))
	started := w.acceptedConversation()
	w.keepUp(20 * time.Minute)
	morning := begin.Add(15*time.Hour + 2*time.Minute)
	w.leapTo(morning.Add(-2 * time.Second))
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.eventuallySaid(started, "Still there?")
	warned := w.said(started)[0].Created
	w.Expect(warned).To(gomega.BeTemporally(">=", morning))
	w.keepUp(5 * time.Minute)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
	w.Expect(w.said(started)[1].Created).To(gomega.BeTemporally(">=", warned.Truncate(time.Second).Add(5*time.Minute)))
}

func TestWithClosedHoursDeferAnAnswerAtNightIsAnAnswer(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 58), officeHours(whenClosed(v1alpha1.ClosedDefer)))
	started := w.acceptedConversation()
	w.keepUp(20 * time.Minute)
	morning := begin.Add(15*time.Hour + 2*time.Minute)
	w.leapTo(morning.Add(-10 * time.Minute))
	w.says(started, twiliosim.Customer, "Good morning!")
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", morning.Add(5*time.Minute)))
}

func TestAHolidayIsClosedAllDay(t *testing.T) {
	for name, test := range map[string]struct {
		day  int
		want []string
	}{
		"today":    {0, nil},
		"tomorrow": {1, []string{notice}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, begin := startOn(t, time.Wednesday, clockTime(12, 0), officeHours(whenClosed(v1alpha1.ClosedCloseSilently)))
			policy := w.policy("plain")
			holiday := v1alpha1.Date(begin.AddDate(0, 0, test.day).Format(time.DateOnly))
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Hours.Holidays = []v1alpha1.Date{holiday} })
			w.eventuallyReady(policy)
			started := w.acceptedConversation()
			w.keepUp(timeout)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal(test.want))
		})
	}
}

func TestAHolidayDoesNotCountWithClockOpenHours(t *testing.T) {
	t.Parallel()
	w, begin := startOn(t, time.Wednesday, clockTime(17, 50), officeHours(accruing(v1alpha1.ClockOpenHours)))
	policy := w.policy("plain")
	holiday := v1alpha1.Date(begin.AddDate(0, 0, 1).Format(time.DateOnly))
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Hours.Holidays = []v1alpha1.Date{holiday} })
	w.eventuallyReady(policy)
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.leapTo(begin.Add(20 * time.Hour)) // a quarter to two on the holiday
	w.keepUp(timeout)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}
