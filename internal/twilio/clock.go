package twilio

import (
	"context"
	"time"
)

// Clock is the time a [Pool] lives in: it measures attempts, fills the token buckets and waits between attempts. The
// time-out of an attempt is always real time, because it guards a real connection.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// Sleep returns nil after d, or the context's error as soon as ctx is done.
	Sleep(ctx context.Context, d time.Duration) error
}

// realClock is the clock on the wall.
type realClock struct{}

// Now is the time on the wall.
func (realClock) Now() time.Time { return time.Now() }

// Sleep waits on a timer.
func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
