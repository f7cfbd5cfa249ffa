package inactivity

import (
	"strconv"
	"strings"
	"time"
)

const (
	// MinTimer is the shortest inactivity timer that Twilio takes (error 50375 below it:
	// https://www.twilio.com/docs/api/errors/50375).
	MinTimer = time.Minute

	// timerGrain is what a timer is rounded up to. A conversation armed a moment after the accept then gets the policy's
	// timeout as it is written, at the price of being woken at most this much late.
	timerGrain = 5 * time.Second

	// maxTimer bounds a timer. A live task is gone after a day, and with it what the timer is for.
	maxTimer = 24 * time.Hour
)

// timerFor returns the timer that wakes the operator once left of the timeout has passed. Where the clock stops at night
// more than the timeout may be left.
func timerFor(left, timeout time.Duration) time.Duration {
	rounded := left.Truncate(timerGrain)
	if rounded < left {
		rounded += timerGrain
	}
	if left < timeout+timerGrain {
		rounded = min(rounded, timeout)
	}
	return min(max(rounded, MinTimer), maxTimer)
}

// ISO8601 writes a length of time in whole seconds as Twilio's timers take it, for example PT1H30M.
func ISO8601(length time.Duration) string {
	seconds := int64(length / time.Second)
	var out strings.Builder
	out.WriteString("PT")
	for _, unit := range []struct {
		seconds int64
		letter  byte
	}{{3600, 'H'}, {60, 'M'}, {1, 'S'}} {
		if count := seconds / unit.seconds; count > 0 {
			out.WriteString(strconv.FormatInt(count, 10))
			out.WriteByte(unit.letter)
			seconds %= unit.seconds
		}
	}
	if out.Len() == len("PT") {
		out.WriteString("0S")
	}
	return out.String()
}
