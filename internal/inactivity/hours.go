package inactivity

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
	// The zone database is part of the program, so that a policy's time zone is known in every image, also in one made from
	// scratch: whether a policy is valid must not depend on the base image. A database of the image is preferred by the
	// time package, so that a newer one counts.
	_ "time/tzdata"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// calendarHorizon is how far ahead openings are looked for: more than the 400 holidays that a calendar may have. Where
// holidays fall on the only day of the week, or openings are short, what is looked for may lie beyond it. That makes no
// difference to a task: Twilio deletes an assigned one after 24 hours (https://www.twilio.com/docs/taskrouter/limits).
const calendarHorizon = 500 * 24 * time.Hour

const secondsOfDay = 24 * 60 * 60

// Calendar is when a contact centre is open. A nil Calendar is always open.
//
// It is open whenever the clock on its wall shows a time in one of the day's openings [from, to), and the day is no
// holiday. When the clock is put forward, an opening is shorter by what the clock leaves out, and a from or to that it
// leaves out is the moment of the jump. When it is put back, an opening counts twice what is shown twice: it begins with
// the first from and ends with the second to. It is closed in between while the clock shows a time outside of it.
// A day that the clock leaves out has no openings.
//
// The methods are exact to the nanosecond, answer in UTC, and can be called at the same time.
type Calendar struct {
	location *time.Location
	// week holds the openings of each time.Weekday, by their beginning. They may overlap.
	week [7][]openingSpan
	// holidays are numbered from 1970-01-01, as stretch numbers days.
	holidays map[int64]bool
}

// openingSpan is an opening [from, to) in seconds of the wall clock since 00:00.
type openingSpan struct{ from, to int64 }

var weekdayNames = map[v1alpha1.Weekday]time.Weekday{
	"Mon": time.Monday, "Tue": time.Tuesday, "Wed": time.Wednesday, "Thu": time.Thursday,
	"Fri": time.Friday, "Sat": time.Saturday, "Sun": time.Sunday,
}

// newCalendar reads a policy's opening hours; nil for nil. An error names each field that cannot be used, the first place
// in it, and the cure. Reading a time zone may read a file, so a calendar is made once for each edit of a policy.
func newCalendar(hours *v1alpha1.Hours) (*Calendar, error) {
	if hours == nil {
		return nil, nil
	}
	var calendar Calendar
	if err := errors.Join(
		calendar.setTimeZone(hours.TimeZone),
		calendar.setWeekly(hours.Weekly),
		calendar.setHolidays(hours.Holidays),
	); err != nil {
		return nil, err
	}
	return &calendar, nil
}

func (c *Calendar) setTimeZone(name string) (err error) {
	const problem = "spec.hours.timeZone: %q is not a time zone of the IANA database: write Area/City, such as Europe/Madrid, or UTC"
	// To the time package "" and "Local" are zones too: those of the machine. Beside the zones, whose names begin with a
	// capital letter, a machine's folder may hold its own zone (localtime) and zones that count leap seconds (right/…).
	if name == "" || name == "Local" || name[0] < 'A' || name[0] > 'Z' {
		return fmt.Errorf(problem, name)
	}
	if c.location, err = time.LoadLocation(name); err != nil {
		return fmt.Errorf(problem, name) // the time package says no more
	}
	return nil
}

func (c *Calendar) setWeekly(weekly []v1alpha1.Opening) error {
	if len(weekly) == 0 {
		return errors.New("spec.hours.weekly: there is no opening: write one, or leave spec.hours out to be always open")
	}
	for i, opening := range weekly {
		if err := c.addOpening(opening); err != nil {
			return fmt.Errorf("spec.hours.weekly[%d]%w", i, err)
		}
	}
	for _, openings := range c.week {
		slices.SortFunc(openings, func(a, b openingSpan) int { return cmp.Compare(a.from, b.from) })
	}
	return nil
}

// addOpening adds an opening to the days that it names. The error begins with the place inside the opening.
func (c *Calendar) addOpening(opening v1alpha1.Opening) error {
	from, ok := secondsSinceMidnight(opening.From)
	if !ok {
		return fmt.Errorf(".from: %q is not a time of day: write it as 09:00", opening.From)
	}
	to, ok := secondsSinceMidnight(opening.To)
	if !ok {
		return fmt.Errorf(".to: %q is not a time of day: write it as 18:00, or 24:00 for midnight", opening.To)
	}
	if from >= to {
		return fmt.Errorf(": from %s is not before to %s: write a night shift as two openings, one to 24:00 and one from 00:00 on the next day",
			opening.From, opening.To)
	}
	if len(opening.Days) == 0 {
		return errors.New(".days: there is no day: write at least one of Mon, Tue, Wed, Thu, Fri, Sat and Sun")
	}
	for i, name := range opening.Days {
		weekday, ok := weekdayNames[name]
		if !ok {
			return fmt.Errorf(".days[%d]: %q is not a day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun", i, name)
		}
		c.week[weekday] = append(c.week[weekday], openingSpan{from: from, to: to})
	}
	return nil
}

func (c *Calendar) setHolidays(holidays []v1alpha1.Date) error {
	c.holidays = make(map[int64]bool, len(holidays))
	for i, holiday := range holidays {
		midnight, err := time.Parse(time.DateOnly, string(holiday))
		if err != nil {
			return fmt.Errorf("spec.hours.holidays[%d]: %s is not a day: write one of the calendar, such as 2026-12-25", i, holiday)
		}
		c.holidays[midnight.Unix()/secondsOfDay] = true
	}
	return nil
}

// secondsSinceMidnight reads a time of day from 00:00 to 24:00.
func secondsSinceMidnight(clock v1alpha1.TimeOfDay) (int64, bool) {
	if clock == "24:00" {
		return secondsOfDay, true
	}
	shown, err := time.Parse("15:04", string(clock))
	if err != nil || len(clock) != len("15:04") { // the time package also takes 9:00
		return 0, false
	}
	return int64(shown.Hour())*3600 + int64(shown.Minute())*60, true
}

// IsOpen says whether the contact centre is open at that moment.
func (c *Calendar) IsOpen(at time.Time) bool {
	if c == nil {
		return true
	}
	open, _ := c.stretch(at.Unix(), c.offsetAt(at))
	return open
}

// NextOpening returns the first moment, not before at, at which the contact centre is open: at itself if it is open then.
// If it does not open within 500 days, it returns the moment 500 days after at, at which IsOpen may be false.
func (c *Calendar) NextOpening(at time.Time) time.Time {
	at = at.UTC()
	if c == nil {
		return at
	}
	limit := at.Add(calendarHorizon)
	for begin := range c.openings(at, limit) {
		return begin
	}
	return limit
}

// Add returns the first moment by which the contact centre has been open for that long since start. That is start itself
// for a length of 0 or less, also if it is closed then. If it is not open for that long within 500 days, Add returns the
// moment 500 days after start.
func (c *Calendar) Add(start time.Time, open time.Duration) time.Time {
	start = start.UTC()
	if open <= 0 {
		return start
	}
	if c == nil {
		return start.Add(open)
	}
	limit := start.Add(calendarHorizon)
	for begin, end := range c.openings(start, limit) {
		length := end.Sub(begin)
		if open <= length {
			return begin.Add(open)
		}
		open -= length
	}
	return limit
}

// openings yields the beginning and the end of each time in [from, to) that is open, in order. Times that adjoin are not
// always one: each ends at midnight, and when the zone's offset changes.
func (c *Calendar) openings(from, to time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(begin, end time.Time) bool) {
		zone := c.offsetAt(from)
		for at := from; at.Before(to); {
			if at.Unix() >= zone.until {
				zone = c.offsetAt(at)
			}
			open, until := c.stretch(at.Unix(), zone)
			end := time.Unix(until, 0).UTC()
			if end.After(to) {
				end = to
			}
			if !end.After(at) {
				return // where a time.Time cannot count any further
			}
			if open && !yield(at, end) {
				return
			}
			at = end
		}
	}
}

// zoneOffset is a zone's offset from UTC, and the Unix second until which it does not change.
type zoneOffset struct{ seconds, until int64 }

// offsetAt returns the offset that is in effect at that moment.
func (c *Calendar) offsetAt(at time.Time) zoneOffset {
	local := at.In(c.location)
	_, seconds := local.Zone()
	zone := zoneOffset{seconds: int64(seconds), until: math.MaxInt64}
	if _, end := local.ZoneBounds(); !end.IsZero() {
		zone.until = end.Unix()
	}
	// Where the time package goes by a zone's rule for the years to come, it ends each year after 365 days. On the last day
	// of a leap year that end has passed (https://github.com/golang/go/issues/81583), and the offset stays for that day.
	if now := at.Unix(); zone.until <= now {
		zone.until = now - floorMod(now, secondsOfDay) + secondsOfDay
	}
	return zone
}

// stretch says whether the contact centre is open in a Unix second, and until which second that does not change under the
// same offset. It looks no further than the end of the day, so the answer at the end may be the same.
//
// Openings, days and offsets begin and end with whole seconds, so the answer holds for every part of the second.
func (c *Calendar) stretch(at int64, zone zoneOffset) (open bool, until int64) {
	local := at + zone.seconds
	second := floorMod(local, secondsOfDay)
	day := (local - second) / secondsOfDay
	change := int64(secondsOfDay)
	if !c.holidays[day] {
		weekday := floorMod(day+int64(time.Thursday), 7) // 1970-01-01 was a Thursday
		for _, opening := range c.week[weekday] {
			if second < opening.from {
				change = opening.from
				break
			}
			if second < opening.to {
				open, change = true, opening.to
				break
			}
		}
	}
	return open, min(at+change-second, zone.until)
}

// floorMod returns a modulo n, which is not negative before 1970 either.
func floorMod(a, n int64) int64 {
	rest := a % n
	if rest < 0 {
		rest += n
	}
	return rest
}
