package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// opening is when a contact centre is open: on some days of the week, between two times of the day.
type opening struct {
	zone     *time.Location
	days     []v1alpha1.Weekday
	from, to time.Duration
}

// openingOf reads hours with one opening, such as drawHours makes; nil is always open.
func openingOf(hours *v1alpha1.Hours) *opening {
	if hours == nil {
		return nil
	}
	zone, err := time.LoadLocation(hours.TimeZone)
	if err != nil {
		panic(err)
	}
	ofDay := func(text v1alpha1.TimeOfDay) time.Duration {
		var hour, minute int
		for i, digit := range []byte(text) {
			switch {
			case i < 2:
				hour = hour*10 + int(digit-'0')
			case i > 2:
				minute = minute*10 + int(digit-'0')
			}
		}
		return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	}
	weekly := hours.Weekly[0]
	return &opening{zone: zone, days: weekly.Days, from: ofDay(weekly.From), to: ofDay(weekly.To)}
}

// next is the opening of that day, or of the first one after it, that ends after then.
func (o *opening) next(then time.Time) period {
	local := then.In(o.zone)
	for day := local.Day(); ; day++ {
		byTheClock := func(ofDay time.Duration) time.Time { // also on the days that have an hour more or less
			return time.Date(local.Year(), local.Month(), day, 0, int(ofDay.Minutes()), 0, 0, o.zone)
		}
		found := period{byTheClock(o.from), byTheClock(o.to)}
		if slices.Contains(o.days, v1alpha1.Weekday(found.from.Weekday().String()[:3])) && found.to.After(then) {
			return found
		}
	}
}

func (o *opening) isOpen(at time.Time) bool { return o == nil || o.next(at).has(at) }

// opens is then, or when it opens after it.
func (o *opening) opens(then time.Time) time.Time {
	if o == nil {
		return then
	}
	return later(then, o.next(then).from)
}

// after is when so much open time has passed since then.
func (o *opening) after(then time.Time, length time.Duration) time.Time {
	if o == nil {
		return then.Add(length)
	}
	for {
		found := o.next(then)
		then = later(then, found.from)
		left := found.to.Sub(then)
		if length <= left {
			return then.Add(length)
		}
		length, then = length-left, found.to
	}
}

// dates are the days on which worlds begin: any, and those before the clocks change in one of the zones.
var dates = []time.Time{
	time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC),
	time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 31, 15, 0, 0, 0, time.UTC),
}

// drawHours draws opening hours, or none. The contact centre neither opens nor closes while everything comes to rest.
func (w *world) drawHours(draw *rand.Rand) *v1alpha1.Hours {
	hours := &v1alpha1.Hours{
		TimeZone: oneOf(draw, "UTC", "Europe/Madrid", "America/New_York"),
		Weekly: []v1alpha1.Opening{{
			Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
			From: oneOf[v1alpha1.TimeOfDay](draw, "00:00", "07:30", "09:00"), To: oneOf[v1alpha1.TimeOfDay](draw, "11:00", "18:00", "24:00"),
		}},
		Clock:       oneOf(draw, "", v1alpha1.ClockOpenHours),
		ClosedHours: oneOf(draw, "", v1alpha1.ClosedCloseSilently, v1alpha1.ClosedDefer),
	}
	o, wanted := openingOf(hours), chance(draw, 0.4)
	if rest := w.silent.Add(-time.Hour); !wanted || o.isOpen(rest) != o.isOpen(w.over) || o.isOpen(rest) != o.isOpen(w.over.Add(-silence/2)) {
		return nil
	}
	return hours
}
