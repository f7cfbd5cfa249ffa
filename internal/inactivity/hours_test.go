package inactivity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	madrid  = "Europe/Madrid"
	newYork = "America/New_York"
)

// opens is an opening of some days, such as opens("Mon Tue", "09:00", "18:00").
func opens(days string, from, to v1alpha1.TimeOfDay) v1alpha1.Opening {
	opening := v1alpha1.Opening{From: from, To: to}
	for day := range strings.FieldsSeq(days) {
		opening.Days = append(opening.Days, v1alpha1.Weekday(day))
	}
	return opening
}

func opensDaily(from, to v1alpha1.TimeOfDay) v1alpha1.Opening {
	return opens("Mon Tue Wed Thu Fri Sat Sun", from, to)
}

func hoursIn(timeZone string, weekly ...v1alpha1.Opening) *v1alpha1.Hours {
	return &v1alpha1.Hours{TimeZone: timeZone, Weekly: weekly}
}

func closedOn(hours *v1alpha1.Hours, holidays ...v1alpha1.Date) *v1alpha1.Hours {
	hours.Holidays = holidays
	return hours
}

func officeHours() *v1alpha1.Hours {
	return hoursIn(madrid, opens("Mon Tue Wed Thu Fri", "09:00", "18:00"))
}

func mustCalendar(t testing.TB, hours *v1alpha1.Hours) *Calendar {
	t.Helper()
	calendar, err := newCalendar(hours)
	if err != nil {
		t.Fatal(err)
	}
	return calendar
}

// instant reads a moment that is written with its offset, so that an hour that is shown twice can be told apart.
func instant(t testing.TB, written string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339Nano, written)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// openTimes lists when a calendar is open in [from, to), by its own wall clock. Times that adjoin are one.
func openTimes(c *Calendar, from, to time.Time) []string {
	var begins, ends []time.Time
	for begin, end := range c.openings(from.UTC(), to) {
		if len(ends) > 0 && ends[len(ends)-1].Equal(begin) {
			ends[len(ends)-1] = end
			continue
		}
		begins, ends = append(begins, begin), append(ends, end)
	}
	var list []string
	for i := range begins {
		const wall = "Mon 02 15:04 Z07:00"
		list = append(list, fmt.Sprintf("%s to %s: %s", begins[i].In(c.location).Format(wall), ends[i].In(c.location).Format(wall), ends[i].Sub(begins[i])))
	}
	return list
}

func TestCalendarOpensByTheWallClock(t *testing.T) {
	for sentence, test := range map[string]struct {
		hours    *v1alpha1.Hours
		from, to string
		want     []string
	}{
		"on the days that it names": {
			officeHours(), "2026-03-06T00:00:00+01:00", "2026-03-10T00:00:00+01:00",
			[]string{"Fri 06 09:00 +01:00 to Fri 06 18:00 +01:00: 9h0m0s", "Mon 09 09:00 +01:00 to Mon 09 18:00 +01:00: 9h0m0s"}},
		"openings that overlap, adjoin or contain each other are one": {
			hoursIn(madrid, opens("Fri", "16:00", "18:00"), opens("Fri", "09:00", "13:00"), opens("Fri", "10:00", "11:00"), opens("Fri", "12:00", "14:00"), opens("Fri", "14:00", "15:00")),
			"2026-03-06T00:00:00+01:00", "2026-03-07T00:00:00+01:00",
			[]string{"Fri 06 09:00 +01:00 to Fri 06 15:00 +01:00: 6h0m0s", "Fri 06 16:00 +01:00 to Fri 06 18:00 +01:00: 2h0m0s"}},
		"a night shift goes through midnight": {
			hoursIn(madrid, opens("Fri", "22:00", "24:00"), opens("Sat", "00:00", "06:00")),
			"2026-03-06T00:00:00+01:00", "2026-03-08T00:00:00+01:00",
			[]string{"Fri 06 22:00 +01:00 to Sat 07 06:00 +01:00: 8h0m0s"}},
		"open day and night": {
			hoursIn(madrid, opensDaily("00:00", "24:00")), "2026-03-28T00:00:00+01:00", "2026-03-30T00:00:00+02:00",
			[]string{"Sat 28 00:00 +01:00 to Mon 30 00:00 +02:00: 47h0m0s"}},
		"a holiday is closed from midnight to midnight, by the same wall clock": {
			closedOn(hoursIn(newYork, opensDaily("00:00", "24:00")), "2026-12-25"),
			"2026-12-24T12:00:00-05:00", "2026-12-26T12:00:00-05:00",
			[]string{"Thu 24 12:00 -05:00 to Fri 25 00:00 -05:00: 12h0m0s", "Sat 26 00:00 -05:00 to Sat 26 12:00 -05:00: 12h0m0s"}},
		"Madrid in spring: 02:00 to 03:00 is left out of an opening": {
			hoursIn(madrid, opensDaily("01:00", "04:00")), "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00",
			[]string{"Sun 29 01:00 +01:00 to Sun 29 04:00 +02:00: 2h0m0s"}},
		"Madrid in autumn: 02:00 to 03:00 counts twice": {
			hoursIn(madrid, opensDaily("01:00", "04:00")), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00",
			[]string{"Sun 25 01:00 +02:00 to Sun 25 04:00 +01:00: 4h0m0s"}},
		"New York in spring: 02:00 to 03:00 is left out of an opening": {
			hoursIn(newYork, opensDaily("01:00", "04:00")), "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00",
			[]string{"Sun 08 01:00 -05:00 to Sun 08 04:00 -04:00: 2h0m0s"}},
		"New York in autumn: 01:00 to 02:00 counts twice": {
			hoursIn(newYork, opensDaily("01:00", "04:00")), "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00",
			[]string{"Sun 01 01:00 -04:00 to Sun 01 04:00 -05:00: 4h0m0s"}},
		"a from that the clock jumps over is the moment of the jump": {
			hoursIn(madrid, opensDaily("02:30", "05:00")), "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00",
			[]string{"Sun 29 03:00 +02:00 to Sun 29 05:00 +02:00: 2h0m0s"}},
		"a to that the clock jumps over is the moment of the jump": {
			hoursIn(madrid, opensDaily("01:00", "02:30")), "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00",
			[]string{"Sun 29 01:00 +01:00 to Sun 29 03:00 +02:00: 1h0m0s"}},
		"an opening that the clock jumps over does not take place": {
			hoursIn(madrid, opensDaily("02:00", "03:00")), "2026-03-28T12:00:00+01:00", "2026-03-31T00:00:00+02:00",
			[]string{"Mon 30 02:00 +02:00 to Mon 30 03:00 +02:00: 1h0m0s"}},
		"an opening in the hour that is shown twice takes place twice": {
			hoursIn(madrid, opensDaily("02:15", "02:45")), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00",
			[]string{"Sun 25 02:15 +02:00 to Sun 25 02:45 +02:00: 30m0s", "Sun 25 02:15 +01:00 to Sun 25 02:45 +01:00: 30m0s"}},
		"a from that is shown twice is the first one, and the clock is believed when it shows an earlier time again": {
			hoursIn(madrid, opensDaily("02:30", "04:00")), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00",
			[]string{"Sun 25 02:30 +02:00 to Sun 25 02:00 +01:00: 30m0s", "Sun 25 02:30 +01:00 to Sun 25 04:00 +01:00: 1h30m0s"}},
		"a to that is shown twice is the second one, and the clock is believed when it shows a later time in between": {
			hoursIn(madrid, opensDaily("01:00", "02:30")), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00",
			[]string{"Sun 25 01:00 +02:00 to Sun 25 02:30 +02:00: 1h30m0s", "Sun 25 02:00 +01:00 to Sun 25 02:30 +01:00: 30m0s"}},
		"Lord Howe jumps by half an hour in spring": {
			hoursIn("Australia/Lord_Howe", opensDaily("01:00", "03:00")), "2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00",
			[]string{"Sun 04 01:00 +10:30 to Sun 04 03:00 +11:00: 1h30m0s"}},
		"Lord Howe goes back by half an hour in autumn": {
			hoursIn("Australia/Lord_Howe", opensDaily("01:00", "03:00")), "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30",
			[]string{"Sun 05 01:00 +11:00 to Sun 05 03:00 +10:30: 2h30m0s"}},
		"Santiago has no midnight in spring: the day opens with the jump": {
			hoursIn("America/Santiago", opensDaily("00:00", "02:00")), "2026-09-05T12:00:00-04:00", "2026-09-06T12:00:00-03:00",
			[]string{"Sun 06 01:00 -03:00 to Sun 06 02:00 -03:00: 1h0m0s"}},
		"Santiago shows the last hour of a Saturday twice in autumn": {
			hoursIn("America/Santiago", opens("Sat", "22:00", "24:00")), "2026-04-04T12:00:00-03:00", "2026-04-05T12:00:00-04:00",
			[]string{"Sat 04 22:00 -03:00 to Sun 05 00:00 -04:00: 3h0m0s"}},
		"a holiday without a midnight is closed from its first moment": {
			closedOn(hoursIn("America/Santiago", opensDaily("00:00", "24:00")), "2026-09-06"), "2026-09-05T12:00:00-04:00", "2026-09-07T12:00:00-03:00",
			[]string{"Sat 05 12:00 -04:00 to Sun 06 01:00 -03:00: 12h0m0s", "Mon 07 00:00 -03:00 to Mon 07 12:00 -03:00: 12h0m0s"}},
		"Cairo jumps over the first hour of a Friday": {
			hoursIn("Africa/Cairo", opens("Thu", "23:00", "24:00"), opens("Fri", "00:00", "01:30")), "2026-04-23T12:00:00+02:00", "2026-04-24T12:00:00+03:00",
			[]string{"Thu 23 23:00 +02:00 to Fri 24 01:30 +03:00: 1h30m0s"}},
		"St. John's went back over midnight: a day came, went, and came again": {
			hoursIn("America/St_Johns", opens("Sun", "00:00", "01:00")), "2010-11-06T12:00:00-02:30", "2010-11-07T12:00:00-03:30",
			[]string{"Sun 07 00:00 -02:30 to Sat 06 23:01 -03:30: 1m0s", "Sun 07 00:00 -03:30 to Sun 07 01:00 -03:30: 1h0m0s"}},
		"Apia left out a Friday": {
			hoursIn("Pacific/Apia", opensDaily("09:00", "10:00")), "2011-12-29T00:00:00-10:00", "2012-01-01T00:00:00+14:00",
			[]string{"Thu 29 09:00 -10:00 to Thu 29 10:00 -10:00: 1h0m0s", "Sat 31 09:00 +14:00 to Sat 31 10:00 +14:00: 1h0m0s"}},
		"the last day of a leap year is a day like others": {
			hoursIn(madrid, opensDaily("09:00", "10:00")), "2040-12-31T00:00:00+01:00", "2041-01-02T00:00:00+01:00",
			[]string{"Mon 31 09:00 +01:00 to Mon 31 10:00 +01:00: 1h0m0s", "Tue 01 09:00 +01:00 to Tue 01 10:00 +01:00: 1h0m0s"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			calendar := mustCalendar(t, test.hours)
			from, to := instant(t, test.from), instant(t, test.to)
			if diff := cmp.Diff(test.want, openTimes(calendar, from, to)); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
			agreesWithTheWallClock(t, calendar, test.hours, from, to)
		})
	}
}

// shownOpen says whether hours are open by what the clock on the wall shows: the same question as IsOpen's, asked of the
// time package's texts instead of by arithmetic.
func shownOpen(hours *v1alpha1.Hours, location *time.Location, at time.Time) bool {
	shown := at.In(location).Format("2006-01-02 Mon 15:04")
	day, weekday, clock := v1alpha1.Date(shown[:10]), v1alpha1.Weekday(shown[11:14]), v1alpha1.TimeOfDay(shown[15:])
	return !slices.Contains(hours.Holidays, day) && slices.ContainsFunc(hours.Weekly, func(opening v1alpha1.Opening) bool {
		return slices.Contains(opening.Days, weekday) && opening.From <= clock && clock < opening.To
	})
}

// agreesWithTheWallClock looks at the clock every minute from a whole minute on, and holds every method against what is
// seen. It is exact where offsets are whole minutes, as all have been since 1972.
func agreesWithTheWallClock(t *testing.T, c *Calendar, hours *v1alpha1.Hours, from, to time.Time) {
	t.Helper()
	var passed time.Duration
	var waiting []time.Time // closed minutes that wait for the next opening
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		open := shownOpen(hours, c.location, at)
		if got := c.IsOpen(at); got != open {
			t.Fatalf("IsOpen(%s) = %v, but the clock shows %s", at, got, at.In(c.location))
		}
		if got := c.between(from, at); got != passed {
			t.Fatalf("Between(%s, %s) = %s, but the clock showed %s of open time", from, at, got, passed)
		}
		if waiting = append(waiting, at); !open {
			continue
		}
		for _, minute := range waiting {
			if got := c.NextOpening(minute); !got.Equal(at) {
				t.Fatalf("NextOpening(%s) = %s, but it opens at %s", minute, got, at)
			}
		}
		waiting = waiting[:0]
		passed += time.Minute
		if got, want := c.Add(from, passed), at.Add(time.Minute); !got.Equal(want) {
			t.Fatalf("Add(%s, %s) = %s, but the clock says %s", from, passed, got, want)
		}
	}
}

func TestCalendarIsExact(t *testing.T) {
	office := mustCalendar(t, officeHours())
	mondays := mustCalendar(t, hoursIn(madrid, opens("Mon", "09:00", "10:00")))
	const (
		fridayOpens  = "2026-03-06T08:00:00Z"
		fridayNoon   = "2026-03-06T11:00:00Z"
		fridayCloses = "2026-03-06T17:00:00Z"
		mondayOpens  = "2026-03-09T08:00:00Z"
	)
	for sentence, test := range map[string]struct {
		calendar *Calendar
		at       string
		open     bool
		opening  string
		add      time.Duration
		want     string
	}{
		"open from the first moment":                                     {office, fridayOpens, true, fridayOpens, 15 * time.Minute, "2026-03-06T08:15:00Z"},
		"closed until the moment before":                                 {office, "2026-03-06T07:59:59.999999999Z", false, fridayOpens, time.Nanosecond, "2026-03-06T08:00:00.000000001Z"},
		"open until the moment before the end":                           {office, "2026-03-06T16:59:59.999999999Z", true, "2026-03-06T16:59:59.999999999Z", time.Nanosecond, fridayCloses},
		"closed from the end on":                                         {office, fridayCloses, false, mondayOpens, time.Nanosecond, "2026-03-09T08:00:00.000000001Z"},
		"open time that ends with the opening is over then":              {office, fridayNoon, true, fridayNoon, 6 * time.Hour, fridayCloses},
		"the rest is counted when it opens again":                        {office, fridayNoon, true, fridayNoon, 6*time.Hour + time.Nanosecond, "2026-03-09T08:00:00.000000001Z"},
		"parts of a second are kept over the weekend":                    {office, "2026-03-06T16:59:59.25Z", true, "2026-03-06T16:59:59.25Z", time.Second, "2026-03-09T08:00:00.25Z"},
		"a full day of open time takes three of nine hours":              {office, fridayOpens, true, fridayOpens, 24 * time.Hour, "2026-03-10T14:00:00Z"},
		"nothing has passed at once, also while closed":                  {office, fridayCloses, false, mondayOpens, 0, fridayCloses},
		"less than nothing is nothing":                                   {office, fridayNoon, true, fridayNoon, -time.Hour, fridayNoon},
		"any offset is understood":                                       {office, "2026-03-06T22:00:00+05:00", false, mondayOpens, time.Minute, "2026-03-09T08:01:00Z"},
		"the last day of a leap year does not hide the change in spring": {mondays, "2040-12-31T12:00:00Z", false, "2041-01-07T08:00:00Z", 13 * time.Hour, "2041-04-01T08:00:00Z"},
		"no calendar is always open":                                     {nil, "2026-03-07T12:00:00.5+01:00", true, "2026-03-07T11:00:00.5Z", 24 * time.Hour, "2026-03-08T11:00:00.5Z"},
		"no calendar, and nothing to pass":                               {nil, fridayNoon, true, fridayNoon, 0, fridayNoon},
	} {
		t.Run(sentence, func(t *testing.T) {
			at := instant(t, test.at)
			if got := test.calendar.IsOpen(at); got != test.open {
				t.Errorf("IsOpen = %v", got)
			}
			opening, added := test.calendar.NextOpening(at), test.calendar.Add(at, test.add)
			if got := opening.Format(time.RFC3339Nano); got != test.opening {
				t.Errorf("NextOpening = %s, want %s", got, test.opening)
			}
			if got := added.Format(time.RFC3339Nano); got != test.want {
				t.Errorf("Add(%s) = %s, want %s", test.add, got, test.want)
			}
			if got, want := test.calendar.between(at, added), max(test.add, 0); got != want {
				t.Errorf("Between(at, Add(at, %s)) = %s", test.add, got)
			}
			if got := test.calendar.between(at.Add(time.Hour), at); got != 0 {
				t.Errorf("Between is %s when it ends before it begins, want 0", got)
			}
		})
	}
}

// mondaysFrom lists Mondays.
func mondaysFrom(year, count int) []v1alpha1.Date {
	day := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
	for day.Weekday() != time.Monday {
		day = day.AddDate(0, 0, 1)
	}
	var mondays []v1alpha1.Date
	for range count {
		mondays = append(mondays, v1alpha1.Date(day.Format(time.DateOnly)))
		day = day.AddDate(0, 0, 7)
	}
	return mondays
}

func TestCalendarAnswersWhenItDoesNotOpen(t *testing.T) {
	start := instant(t, "2026-03-06T11:00:00.5Z")
	far := start.Add(500 * 24 * time.Hour)

	never := mustCalendar(t, closedOn(hoursIn(madrid, opens("Mon", "09:00", "18:00")), mondaysFrom(2026, 400)...))
	if got := never.NextOpening(start); !got.Equal(far) || never.IsOpen(got) {
		t.Errorf("a calendar whose every day is a holiday opens at %s, want 500 days ahead, and closed", got)
	}
	if got := never.Add(start, time.Minute); !got.Equal(far) {
		t.Errorf("a calendar whose every day is a holiday has been open at %s, want 500 days ahead", got)
	}
	if got := never.between(start, start.Add(2000*24*time.Hour)); got != 0 {
		t.Errorf("a calendar whose every day is a holiday is open for %s", got)
	}

	rarely := mustCalendar(t, hoursIn(madrid, opens("Mon", "09:00", "09:01")))
	if got, want := rarely.Add(start, 72*time.Minute), instant(t, "2027-07-19T07:01:00Z"); !got.Equal(want) {
		t.Errorf("a minute a week is 72 minutes at %s, want %s", got, want)
	}
	if got := rarely.Add(start, 73*time.Minute); !got.Equal(far) {
		t.Errorf("a minute a week is 73 minutes at %s, want 500 days ahead", got)
	}
}

func TestCalendarTakesAnyTime(t *testing.T) {
	always := mustCalendar(t, hoursIn(madrid, opensDaily("00:00", "24:00")))
	office := mustCalendar(t, officeHours())
	for _, far := range []time.Time{
		{}, time.Unix(math.MaxInt64, 999_999_999), time.Unix(math.MinInt64, 0), time.Unix(math.MaxInt64-62135596801, 0),
		time.Date(-290_000_000_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(290_000_000_000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		for _, calendar := range []*Calendar{nil, always, office} {
			calendar.IsOpen(far)
			if got := calendar.NextOpening(far); got.After(far.Add(calendarHorizon)) {
				t.Errorf("after %s it opens at %s", far, got)
			}
			calendar.Add(far, 1000*time.Hour)
			if got := calendar.between(far, far.Add(1000*time.Hour)); got < 0 || got > 1000*time.Hour {
				t.Errorf("of 1000 h after %s, %s are open", far, got)
			}
		}
	}

	year1 := time.Time{}
	if got := always.between(year1, start2026); got != math.MaxInt64 {
		t.Errorf("open since the year 1 for %s, want as much as can be counted", got)
	}
	if got := always.between(start2026, year1); got != 0 {
		t.Errorf("open for %s until long ago, want 0", got)
	}
	if got, want := always.between(start2026, start2026.AddDate(100, 0, 0)), 36524*24*time.Hour; got != want {
		t.Errorf("open for a hundred years is %s, want %s", got, want)
	}
}

var start2026 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestNewCalendarNamesTheFieldAndTheCure(t *testing.T) {
	if calendar, err := newCalendar(nil); calendar != nil || err != nil {
		t.Errorf("no hours give %v, %v, want no calendar and no error", calendar, err)
	}
	if _, err := newCalendar(hoursIn("UTC", opensDaily("00:00", "24:00"))); err != nil {
		t.Errorf("UTC is a time zone, got %v", err)
	}
	workday := opensDaily("09:00", "18:00")
	for sentence, test := range map[string]struct {
		hours *v1alpha1.Hours
		want  string
	}{
		"a misspelt time zone":            {hoursIn("Europe/Madird", workday), `spec.hours.timeZone: "Europe/Madird" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC`},
		"an offset is no time zone":       {hoursIn("UTC+1", workday), `spec.hours.timeZone: "UTC+1" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC`},
		"no time zone is not the pod's":   {hoursIn("", workday), `spec.hours.timeZone: "" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC`},
		"the pod's time zone has no name": {hoursIn("Local", workday), `spec.hours.timeZone: "Local" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC`},
		"a zone that counts leap seconds": {hoursIn("right/Europe/Madrid", workday), `spec.hours.timeZone: "right/Europe/Madrid" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC`},
		"every field that cannot be used is named, with its first place": {
			closedOn(hoursIn("Europe/Madird", opensDaily("9:00", "18:00"), opensDaily("8:00", "18:00")), "2026-02-30", "2026-02-31"),
			`spec.hours.timeZone: "Europe/Madird" is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC
spec.hours.weekly[0].from: "9:00" is not a time of day: write it as 09:00
spec.hours.holidays[0]: 2026-02-30 is not a day: write one of the calendar, such as 2026-12-25`},
		"no opening":                                 {hoursIn(madrid), `spec.hours.weekly: there is no opening: write one, or leave spec.hours out to be always open`},
		"an opening without days":                    {hoursIn(madrid, workday, opens("", "09:00", "18:00")), `spec.hours.weekly[1].days: there is no day: write at least one of Mon, Tue, Wed, Thu, Fri, Sat and Sun`},
		"a day in full":                              {hoursIn(madrid, opens("Mon Tuesday", "09:00", "18:00")), `spec.hours.weekly[0].days[1]: "Tuesday" is not a day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun`},
		"a from with one digit":                      {hoursIn(madrid, opensDaily("9:00", "18:00")), `spec.hours.weekly[0].from: "9:00" is not a time of day: write it as 09:00`},
		"a to after midnight":                        {hoursIn(madrid, workday, opensDaily("09:00", "24:01")), `spec.hours.weekly[1].to: "24:01" is not a time of day: write it as 18:00, or 24:00 for midnight`},
		"a night shift as one opening":               {hoursIn(madrid, opensDaily("22:00", "06:00")), `spec.hours.weekly[0]: from 22:00 is not before to 06:00: write a night shift as two openings, one to 24:00 and one from 00:00 on the next day`},
		"an opening of no length":                    {hoursIn(madrid, opensDaily("09:00", "09:00")), `spec.hours.weekly[0]: from 09:00 is not before to 09:00: write a night shift as two openings, one to 24:00 and one from 00:00 on the next day`},
		"a day that does not exist":                  {closedOn(officeHours(), "2026-12-25", "2026-02-30"), `spec.hours.holidays[1]: 2026-02-30 is not a day: write one of the calendar, such as 2026-12-25`},
		"29 February of a year that is no leap year": {closedOn(officeHours(), "2027-02-29"), `spec.hours.holidays[0]: 2027-02-29 is not a day: write one of the calendar, such as 2026-12-25`},
		"a holiday in another notation":              {closedOn(officeHours(), "25.12.2026"), `spec.hours.holidays[0]: 25.12.2026 is not a day: write one of the calendar, such as 2026-12-25`},
	} {
		t.Run(sentence, func(t *testing.T) {
			calendar, err := newCalendar(test.hours)
			if err == nil || calendar != nil {
				t.Fatalf("gives %v and error %v", calendar, err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// fuzzZones are zones that have changed their clocks in remarkable ways.
var fuzzZones = []string{madrid, newYork, "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Pacific/Apia", "America/St_Johns",
	"Antarctica/Troll", "Africa/Casablanca", "Europe/Dublin", "Asia/Kathmandu", "America/Caracas", "UTC"}

// fuzzHours makes opening hours of any bytes: five for an opening, one for a holiday in the months after start. There are
// no more of them than the API takes.
func fuzzHours(zone uint8, weekly, holidays []byte, start time.Time) *v1alpha1.Hours {
	clock := func(minutes int) v1alpha1.TimeOfDay {
		return v1alpha1.TimeOfDay(fmt.Sprintf("%02d:%02d", minutes/60, minutes%60))
	}
	hours := hoursIn(fuzzZones[int(zone)%len(fuzzZones)])
	for chunk := range slices.Chunk(weekly, 5) {
		if len(chunk) < 5 || len(hours.Weekly) == 32 {
			break
		}
		from := (int(chunk[1])<<8 | int(chunk[2])) % 1440
		opening := v1alpha1.Opening{From: clock(from), To: clock(from + 1 + (int(chunk[3])<<8|int(chunk[4]))%(1440-from))}
		for i, day := range []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
			if chunk[0]>>i&1 == 1 || i == 6 && len(opening.Days) == 0 {
				opening.Days = append(opening.Days, day)
			}
		}
		hours.Weekly = append(hours.Weekly, opening)
	}
	if len(hours.Weekly) == 0 {
		hours.Weekly = []v1alpha1.Opening{opensDaily("01:00", "04:00")}
	}
	for _, days := range holidays[:min(len(holidays), 400)] {
		hours.Holidays = append(hours.Holidays, v1alpha1.Date(start.AddDate(0, 0, int(days)-2).Format(time.DateOnly)))
	}
	return hours
}

// FuzzCalendar holds any calendar against the clock on the wall for two days, and against the laws that its methods have
// in common. Where atChange is set, the two days are those in which the zone's clock is changed next.
func FuzzCalendar(f *testing.F) {
	f.Fuzz(func(t *testing.T, zone uint8, weekly, holidays []byte, seconds int64, atChange bool, length, more int64) {
		hours := fuzzHours(zone, weekly, nil, time.Time{})
		location, err := time.LoadLocation(hours.TimeZone)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
		years := int64(time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC).Sub(begin) / time.Second)
		start := begin.Add(time.Duration(floorMod(seconds, years)) * time.Second)
		if _, change := start.In(location).ZoneBounds(); atChange && !change.IsZero() {
			start = change.Add(-time.Duration(floorMod(seconds, 2*secondsOfDay)) * time.Second).UTC()
		}
		hours = fuzzHours(zone, weekly, holidays, start)
		c := mustCalendar(t, hours)

		agreesWithTheWallClock(t, c, hours, start.Truncate(time.Minute), start.Add(48*time.Hour))

		// From here on every nanosecond counts.
		length, more = floorMod(length, int64(25*time.Hour)), floorMod(more, int64(48*time.Hour))
		start = start.Add(time.Duration(more % int64(time.Second)))
		open, step := time.Duration(length), time.Duration(more)
		limit := start.Add(calendarHorizon)

		if got := c.between(start, start.Add(1)); (got == 1) != c.IsOpen(start) {
			t.Errorf("IsOpen(%s) = %v, but %s of the next nanosecond is open", start, c.IsOpen(start), got)
		}
		added := c.Add(start, open)
		if got := c.between(start, added); added.Before(limit) && got != open {
			t.Errorf("Between(%s, Add(%s)) = %s", start, open, got)
		}
		if got := c.between(start, added.Add(-1)); open > 0 && got >= open {
			t.Errorf("Add(%s, %s) = %s is not the first moment: %s are open before", start, open, added, got)
		}
		if later := c.Add(start, open+step); later.Before(added) {
			t.Errorf("Add(%s, %s) = %s, but of %s more it is %s", start, open, added, step, later)
		}
		if later := c.Add(start.Add(step), open); later.Before(added) {
			t.Errorf("Add(%s, %s) = %s, but of a start %s later it is %s", start, open, added, step, later)
		}
		middle, end := start.Add(step), start.Add(step+open)
		if first, second, whole := c.between(start, middle), c.between(middle, end), c.between(start, end); first+second != whole {
			t.Errorf("Between is %s up to %s and %s from there, but %s in all", first, middle, second, whole)
		}
		next := c.NextOpening(start)
		if got := c.between(start, next); got != 0 || c.IsOpen(start) != next.Equal(start) || !c.IsOpen(next) && !next.Equal(limit) {
			t.Errorf("NextOpening(%s) = %s: open then %v, open before for %s", start, next, c.IsOpen(next), got)
		}
		if added.Location() != time.UTC || next.Location() != time.UTC {
			t.Errorf("answers in %s and %s, want UTC", added.Location(), next.Location())
		}
	})
}

func BenchmarkCalendar(b *testing.B) {
	office := mustCalendar(b, officeHours())
	never := mustCalendar(b, closedOn(hoursIn(madrid, opens("Mon", "09:00", "18:00")), mondaysFrom(2026, 400)...))
	rarely := mustCalendar(b, hoursIn(madrid, opensDaily("09:00", "09:01"), opensDaily("12:00", "12:01")))
	start := time.Date(2026, 3, 6, 16, 55, 0, 0, time.UTC)
	for name, call := range map[string]func(){
		"IsOpen":                  func() { office.IsOpen(start) },
		"Add over a weekend":      func() { office.Add(start, 15*time.Minute) },
		"Between over a weekend":  func() { office.between(start, start.Add(72*time.Hour)) },
		"NextOpening in 500 days": func() { never.NextOpening(start) },
		"Add in 500 days":         func() { rarely.Add(start, 24*time.Hour) },
		"newCalendar":             func() { _, _ = newCalendar(officeHours()) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				call()
			}
		})
	}
}

// between returns for how long the contact centre is open in [from, to): 0 if to is not after from. It sees no further
// than the 292 years after from that a time.Duration can count, and takes time in proportion to the days between.
func (c *Calendar) between(from, to time.Time) time.Duration {
	length := max(to.Sub(from), 0)
	if c == nil {
		return length
	}
	var open time.Duration
	for begin, end := range c.openings(from, from.Add(length)) {
		open += end.Sub(begin)
	}
	return open
}
