package twilio

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// ServerTime records what time it was at Twilio: the latest Date header among the answers to the calls made with its
// context. The clock of this machine may differ from Twilio's, and message dates are Twilio's. The zero value is ready;
// it is safe for concurrent use. Its resolution is one second.
type ServerTime struct {
	mu     sync.Mutex
	latest time.Time
}

// Latest returns the latest time seen, and false when no answer carried one.
func (s *ServerTime) Latest() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, !s.latest.IsZero()
}

func (s *ServerTime) observe(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.After(s.latest) {
		s.latest = t
	}
}

type serverTimeKey struct{}

// WithServerTime returns a context whose calls record Twilio's time in s.
func WithServerTime(ctx context.Context, s *ServerTime) context.Context {
	return context.WithValue(ctx, serverTimeKey{}, s)
}

// observeServerTime notes the Date of an answer in the context's ServerTime, if there are both.
func observeServerTime(ctx context.Context, header http.Header) {
	s, ok := ctx.Value(serverTimeKey{}).(*ServerTime)
	if !ok || s == nil {
		return
	}
	if t, err := http.ParseTime(header.Get("Date")); err == nil {
		s.observe(t)
	}
}
