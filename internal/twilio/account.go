package twilio

import (
	"context"

	"golang.org/x/time/rate"
)

// account is what all clients of one account SID share: Twilio limits accounts, not credentials.
type account struct {
	limiter *rate.Limiter
	slots   chan struct{}
	// clients counts the cached clients, so that the pool can forget an account with its last one.
	clients int
}

func newAccount(opts Options) *account {
	return &account{
		limiter: rate.NewLimiter(rate.Limit(opts.RequestsPerSecond), opts.Burst),
		slots:   make(chan struct{}, opts.MaxConcurrent),
	}
}

// admit waits for a token and then for a free slot, which release gives back. The token comes first, so that nobody
// holds a slot while waiting for time to pass.
func (a *account) admit(ctx context.Context, clock Clock) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := clock.Now()
	token := a.limiter.ReserveN(now, 1)
	if wait := token.DelayFrom(now); wait > 0 {
		if err := clock.Sleep(ctx, wait); err != nil {
			token.CancelAt(clock.Now())
			return nil, err
		}
	}
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
