package twilio

import (
	"errors"
	"time"
)

// again decides whether to send the request once more, and after how long.
func (x *exchange) again(e *Error) (wait time.Duration, ok bool) {
	if x.ctx.Err() != nil || x.attempts >= maxAttempts || e.RetryAfter > maxRetryWait || !x.repeatable(e) {
		return 0, false
	}
	return max(backoff(x.attempts, x.client.random()), e.RetryAfter), true
}

// repeatable is the rule of the table in operations.go.
func (x *exchange) repeatable(e *Error) bool {
	switch {
	case errors.Is(e.Err, ErrInvalidArgument):
		return false
	case IsThrottled(e), e.unsent:
		return true // certainly not processed
	case e.Status == 0, e.Status >= 500:
		return x.op.repetition != never
	default:
		return false // a refusal stays one
	}
}

// backoff is the wait after the given number of attempts: doubling, capped, and drawn, by a number in [0, 1), from the
// upper half of its range so that callers that failed together do not come back together.
func backoff(attempts int, drawn float64) time.Duration {
	full := min(backoffBase<<(attempts-1), backoffCap)
	return full/2 + time.Duration(drawn*float64(full/2))
}
