package inactivity

import (
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// minuteOf is a moment in the minutes of these tests.
func minuteOf(moment string) float64 {
	read, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		panic(err)
	}
	return read.Sub(at(0)).Minutes()
}

// Minute 0 is Monday, 10:00 in Madrid. In these tables the contact centre opens at 09:00 and closes at 10:20, in minute 20:
// the first warning of the ladder and the end are due while it is closed. It opens again in minute 1380.
func TestClosedHours(t *testing.T) {
	const opens = 1380
	morning := daily("09:00", "10:20")
	act := opening("", v1alpha1.ClosedAct, morning)
	silently := opening("", v1alpha1.ClosedCloseSilently, morning)
	deferred := opening("", v1alpha1.ClosedDefer, morning)
	lateText := unanswered(12) // due in minute 22

	check(t, map[string]rule{
		// Act
		"Act: warnings are sent while it is closed": {
			swept(act, ladder), talk(20, agentAt(10)), warns(20, 5, "Still there?")},
		"Act: who waits is sent the text while it is closed": {
			swept(act, lateText), talk(22, customerAt(10)), consoles(22)},
		"Act: the notice is sent while it is closed": {
			swept(act), talk(25, agentAt(10)), tells(25, "Bye.")},
		"Act: a silent policy ends while it is closed": {
			swept(act, silent), talk(25, agentAt(10)), endsSilently(25)},
		"absent means Act": {
			swept(opening("", "", morning)), talk(25, agentAt(10)), tells(25, "Bye.")},
		"Defer: a silent ending that has begun is carried through": {
			swept(deferred, silent), with(talk(20.2, agentAt(4)), tasks(task("WT1", TaskAssigned, acceptedAt(1), claimIn(19.9, StepFinish, func(c *Claim) { c.Episode = "IM4" })))), finishes(ReasonTimedOut)},

		// CloseSilently
		"CloseSilently: a warning is skipped": {
			swept(silently, ladder), talk(20, agentAt(10)), waits(ReasonNotDue, 23)},
		"CloseSilently: skipped warnings do not put off the end": {
			swept(silently, ladder), talk(25, agentAt(10)), endsSilently(25, because(ReasonClosedHours))},
		"CloseSilently: the text for who waits is skipped": {
			swept(silently, lateText), talk(22, customerAt(10)), waits(ReasonNotDue, 25)},
		"CloseSilently: it ends without the notice": {
			swept(silently), talk(25, agentAt(10)), endsSilently(25, because(ReasonClosedHours))},
		"CloseSilently: WrapUp begins without the notice": {
			swept(silently, wrapUp), talk(25, agentAt(10)), endsSilently(25, because(ReasonClosedHours))},
		"CloseSilently: under Notify nothing is said": {
			swept(silently, notify), talk(25, agentAt(10)), waits(ReasonClosedHours, 40)},
		"CloseSilently: what is due while it is open is sent": {
			swept(silently), talk(19.9, agentAt(4.9)), tells(19.9, "Bye.", inSilence("IM4.9", 4.9))},
		"CloseSilently: it is closed from the minute in which it closes on": {
			swept(silently), talk(20, agentAt(5)), endsSilently(20, because(ReasonClosedHours), inSilence("IM5", 5))},
		"CloseSilently: a warning of the evening still has its whole time": {
			swept(silently, ladder), talk(24, warned(19.9, 5), agentAt(10)), waits(ReasonNotDue, 25)},
		"CloseSilently: an ending whose notice is out is carried through": {
			swept(silently), talk(26, own(StepNotice, 19.9), agentAt(10)), finishes(ReasonNoticeSent)},

		// Defer
		"Defer: a warning waits until it opens": {
			swept(deferred, ladder), talk(20, agentAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: at the opening the latest warning is sent": {
			swept(deferred, ladder), talk(opens, agentAt(10)), warns(opens, 2, "Last call.", dueSince(23))},
		"Defer: a warning that was deferred has its whole time": {
			swept(deferred, ladder), talk(opens+1, warned(opens, 2), agentAt(10)), waits(ReasonNotDue, opens+2)},
		"Defer: the text for who waits comes at the opening, unless the end is due by then": {
			swept(deferred, lateText, waitsForCustomer), talk(22, customerAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: under Customer the text for who waits is sent at the opening": {
			swept(deferred, lateText, waitsForCustomer), talk(opens, customerAt(10)), consoles(opens, dueSince(22))},
		"Defer: at the opening the end takes the place of the text for who waits": {
			swept(deferred, lateText), talk(opens, customerAt(10)), tells(opens, "Bye.", owedBy(TurnAgent), dueSince(25))},
		"Defer: the end waits until it opens": {
			swept(deferred), talk(25, agentAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: at the opening the customer is told": {
			swept(deferred), talk(opens, agentAt(10)), tells(opens, "Bye.", dueSince(25))},
		"Defer: a silent policy waits too": {
			swept(deferred, silent), talk(25, agentAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: under Notify the notice waits too": {
			swept(deferred, notify), talk(25, agentAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: what is not due yet is waited for as always": {
			swept(deferred), talk(21, agentAt(10)), waits(ReasonNotDue, 25)},
		"Defer: a customer who writes in the night is not due before the opening": {
			swept(deferred), talk(620, customerAt(600), agentAt(10)), waits(ReasonClosedHours, opens)},
		"Defer: an ending whose notice is out is carried through": {
			swept(deferred), talk(26, own(StepNotice, 19.9), agentAt(10)), finishes(ReasonNoticeSent)},
		"Defer: the timer runs until the opening": {
			policy(deferred), with(talk(25, agentAt(10)), noTimer), Decision{Act: ActArm, Reason: ReasonTimerMissing, Timer: minutes(opens - 25), Next: at(opens)}},
		"Defer: a conversation that Twilio's timer has made inactive becomes active until the opening": {
			policy(deferred), with(talk(25, agentAt(10)), state(ConversationInactive)),
			Decision{Act: ActRearm, Reason: ReasonWokenEarly, Activate: true, Timer: minutes(opens - 25), Next: at(opens)}},
		"Defer: a timer that runs until the opening is left": {
			policy(deferred), with(talk(25, agentAt(10)), timerAt(opens)), waits(ReasonClosedHours, opens)},
	})
}

// In these tables the contact centre has a break from 10:20 to 10:22, from minute 20 to 22. What was skipped then is not
// made up for: the step became due while it was closed.
func TestWhatWasSkippedInClosedHoursStaysSkipped(t *testing.T) {
	breaks := opening("", v1alpha1.ClosedCloseSilently, daily("09:00", "10:20"), daily("10:22", "18:00"))
	early := swept(breaks, warning(5, "Still there?"))
	check(t, map[string]rule{
		"in the break a warning is skipped": {
			early, talk(20, agentAt(10)), waits(ReasonNotDue, 25)},
		"after the break the skipped warning does not put off the end": {
			early, talk(25, agentAt(10)), tells(25, "Bye.")},
		"after the break the skipped warning is not sent late": {
			early, talk(22, agentAt(10)), waits(ReasonNotDue, 25)},
		"after the break the next warning is sent": {
			swept(breaks, ladder), talk(23, agentAt(10)), warns(23, 2, "Last call.")},
		"after the break the skipped text for who waits is not sent late": {
			swept(breaks, unanswered(11)), talk(23, customerAt(10)), waits(ReasonNotDue, 25)},
		"a step that was due before the break and is late is not sent in it": {
			early, talk(21, agentAt(9.5)), waits(ReasonNotDue, 24.5)},
		"under Notify a notice that was skipped at night is not sent in the morning": {
			swept(notify, opening("", v1alpha1.ClosedCloseSilently, daily("09:00", "10:20"))), talk(1385, agentAt(10)), waits(ReasonClosedHours, 1400)},
		"the notice is sent in the minute in which it opens": {
			swept(breaks), talk(22, agentAt(7)), tells(22, "Bye.", inSilence("IM7", 7))},
	})
}

// With clock OpenHours the fifteen minutes are minutes of open time.
func TestClockOpenHours(t *testing.T) {
	const opens = 1380
	morning := daily("09:00", "10:20")
	open := opening(v1alpha1.ClockOpenHours, v1alpha1.ClosedAct, morning)
	check(t, map[string]rule{
		"the clock stops when it closes": {
			swept(open), talk(25, agentAt(10)), waits(ReasonNotDue, opens+5)},
		"the clock goes on when it opens": {
			swept(open), talk(opens+4.99, agentAt(10)), waits(ReasonNotDue, opens+5)},
		"the end comes when the timeout has passed in open time": {
			swept(open), talk(opens+5, agentAt(10)), tells(opens+5, "Bye.")},
		"a silence that begins while it is closed counts from the opening": {
			swept(open), talk(opens, customerAt(600)), waits(ReasonNotDue, opens+15)},
		"an accept while it is closed counts from the opening": {
			swept(open), with(talk(700), tasks(task("WT1", TaskAssigned, acceptedAt(600)))), waits(ReasonNotDue, opens+15)},
		"a policy that takes effect while it is closed counts from the opening": {
			swept(open, inForceSince(600, v1alpha1.ExistingGrace)), talk(700, agentAt(10)), waits(ReasonNotDue, opens+15)},
		"a hold that ends while it is closed counts from the opening": {
			swept(open, holdable), with(talk(700, agentAt(10)), holdOnTask(`"2026-03-02T19:00:00Z"`)), waits(ReasonNotDue, opens+15)},
		"a hold lasts by the clock on the wall": {
			swept(open, holdable), with(talk(590, agentAt(10)), holdOnTask(`"2026-03-02T19:00:00Z"`)), waits(ReasonHeld, 600, isHeld)},
		"before is a length of open time": {
			swept(open, warning(3, "Still there?")), talk(25, agentAt(10)), waits(ReasonNotDue, opens+2)},
		"the warning comes that much open time before the end": {
			swept(open, warning(3, "Still there?")), talk(opens+2, agentAt(10)), warns(opens+2, 3, "Still there?")},
		"a warning's whole time is open time": {
			swept(open, warning(3, "Still there?")), talk(25, warned(19, 3), agentAt(2)), waits(ReasonNotDue, opens+2)},
		"after is a length of open time": {
			swept(open, unanswered(12)), talk(25, customerAt(10)), waits(ReasonNotDue, opens+2)},
		"the text for who waits comes after that much open time": {
			swept(open, unanswered(12)), talk(opens+2, customerAt(10)), consoles(opens + 2)},
		"idleSeconds are seconds of the wall clock": {
			swept(open), talk(opens+5, agentAt(10)), tells(opens+5, "Bye.", func(d *Decision) { d.Claim.IdleSeconds = (opens + 5 - 10) * 60 })},
		"messages are not read while the open time since the accept is shorter than the timeout": {
			swept(open), with(talk(opens-1, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(10))), func(s *Snapshot) { s.Messages = nil }), waits(ReasonNotDue, opens+5)},
		"the timer runs over the night": {
			policy(open), with(talk(12, agentAt(10)), noTimer), Decision{Act: ActArm, Reason: ReasonTimerMissing, Timer: minutes(opens + 5 - 12), Next: at(opens + 5)}},
	})
}

// The shops close on Friday evening: the moment that is waited for is further away than the longest timer.
func TestAWeekend(t *testing.T) {
	friday, monday := minuteOf("2026-03-06T16:55:00Z"), minuteOf("2026-03-09T08:00:00Z") // 17:55 and 09:00 in Madrid
	week := v1alpha1.Opening{Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "09:00", To: "18:00"}
	deferred := opening("", v1alpha1.ClosedDefer, week)
	open := opening(v1alpha1.ClockOpenHours, v1alpha1.ClosedAct, week)
	spoken := agentAt(friday)
	named := inSilence(spoken.SID, friday)
	check(t, map[string]rule{
		"Defer: what is due on Friday night waits until Monday": {
			swept(deferred), talk(friday+15, spoken), waits(ReasonClosedHours, monday)},
		"Defer: on Monday the customer is told": {
			swept(deferred), talk(monday, spoken), tells(monday, "Bye.", named, dueSince(friday+15))},
		"OpenHours: five minutes of Friday and ten of Monday": {
			swept(open), talk(friday+15, spoken), waits(ReasonNotDue, monday+10)},
		"OpenHours: a warning is sent on Monday": {
			swept(open, ladder), talk(monday+5, spoken), warns(monday+5, 5, "Still there?", named)},
		"OpenHours: a warning that was sent before the weekend is followed by the end on Monday": {
			swept(open, warning(12, "Still there?")), talk(monday+8, warned(friday+3, 12, about(spoken.SID, friday)), spoken), waits(ReasonNotDue, monday+10)},
		"OpenHours: a warning that came late before the weekend has its whole time on Monday": {
			swept(open, warning(12, "Still there?")), talk(monday+9, warned(friday+4.5, 12, about(spoken.SID, friday)), spoken), waits(ReasonNotDue, monday+11.5)},
		"OpenHours: after an early warning the next look is when a warning of a new silence may be due": {
			swept(open, warning(12, "Still there?")), talk(friday+15, warned(friday+3, 12, about(spoken.SID, friday)), spoken), waits(ReasonNotDue, monday+3)},
		"no timer is longer than a day": {
			policy(deferred), with(talk(friday+15, spoken), noTimer), Decision{Act: ActArm, Reason: ReasonTimerMissing, Timer: 24 * time.Hour, Next: at(monday)}},
		"the longest timer is left while it runs": {
			policy(deferred), with(talk(friday+60, spoken), timerAt(friday+15+24*60)), waits(ReasonClosedHours, monday)},
	})
}

func TestHolidaysAndDaylightSaving(t *testing.T) {
	hours := func(holidays ...v1alpha1.Date) func(*Policy) {
		return func(p *Policy) {
			if err := p.compileHours(&v1alpha1.Hours{
				TimeZone: "Europe/Madrid", Weekly: []v1alpha1.Opening{daily("09:00", "18:00")}, Holidays: holidays,
				Clock: v1alpha1.ClockOpenHours, ClosedHours: v1alpha1.ClosedDefer,
			}); err != nil {
				panic(err)
			}
		}
	}
	for sentence, test := range map[string]struct {
		holidays    []v1alpha1.Date
		wrote, ends string
	}{
		"on an ordinary evening the clock stops at 18:00 and goes on at 09:00":  {nil, "2026-03-02T16:55:00Z", "2026-03-03T08:10:00Z"},
		"on a holiday it is closed all day":                                     {[]v1alpha1.Date{"2026-03-03"}, "2026-03-02T16:55:00Z", "2026-03-04T08:10:00Z"},
		"a message on a holiday counts from the day after":                      {[]v1alpha1.Date{"2026-03-03"}, "2026-03-03T11:00:00Z", "2026-03-04T08:15:00Z"},
		"in the night in which the clock is put forward 09:00 comes sooner":     {nil, "2026-03-28T16:55:00Z", "2026-03-29T07:10:00Z"},
		"in the night in which the clock is put back 09:00 comes later":         {nil, "2026-10-24T15:55:00Z", "2026-10-25T08:10:00Z"},
		"on the day of the change the day ends at 18:00, whatever its length":   {nil, "2026-03-29T15:55:00Z", "2026-03-30T07:10:00Z"},
		"on the day of the change back the day ends at 18:00 by the wall clock": {nil, "2026-10-25T16:55:00Z", "2026-10-26T08:10:00Z"},
	} {
		wrote, end := minuteOf(test.wrote), minuteOf(test.ends)
		policy := swept(hours(test.holidays...))
		if got := Decide(policy, talk(wrote+1, agentAt(wrote))); got.Act != ActNone || !got.Next.Equal(at(end)) {
			t.Errorf("%s: a minute after the message it waits until %s (%s), want %s", sentence, got.Next, got.Reason, test.ends)
		}
		if got := Decide(policy, talk(end, agentAt(wrote))); got.Act != ActNotice || !got.StepDue.Equal(at(end)) {
			t.Errorf("%s: at %s: %s (%s), want the end", sentence, test.ends, got.Act, got.Reason)
		}
	}
}
