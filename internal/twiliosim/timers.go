package twiliosim

import (
	"time"
)

const (
	// The shortest timers (https://www.twilio.com/docs/api/errors/50375 and 50376).
	minInactiveTimer = time.Minute
	minClosedTimer   = 10 * time.Minute

	// Why a conversation changed its state, as webhooks say it.
	reasonAPI   = "API"
	reasonTimer = "TIMER"
	reasonEvent = "EVENT"
)

// timerUpdate is what an update says of a conversation's timers; nil leaves one as it is, zero disables it.
type timerUpdate struct{ inactive, closed *time.Duration }

func parseTimers(r *request) (timerUpdate, *apiError) {
	var u timerUpdate
	if r.has("Timers.Inactive") {
		d, err := parseDuration(r.get("Timers.Inactive"))
		switch {
		case err != nil:
			return u, refuse(400, codeBadInactiveFormat, "Timers.Inactive is not in ISO 8601 format: use PT0S, PT1M, P1D")
		case d != 0 && d < minInactiveTimer:
			return u, refuse(400, codeInactiveTooShort, "Timers.Inactive must be at least 1 minute")
		}
		u.inactive = &d
	}
	if r.has("Timers.Closed") {
		d, err := parseDuration(r.get("Timers.Closed"))
		switch {
		case err != nil:
			return u, refuse(400, codeBadClosedFormat, "Timers.Closed is not in ISO 8601 format: use PT0S, PT10M, P1D")
		case d != 0 && d < minClosedTimer:
			return u, refuse(400, codeClosedTooShort, "Timers.Closed must be at least 10 minutes")
		}
		u.closed = &d
	}
	return u, nil
}

// setTimers applies an update. A timer that the conversation's state is not waiting for takes effect when it gets into
// that state. The caller holds the state and has changed the conversation's state before.
func (s *Simulator) setTimers(c *conversation, u timerUpdate) {
	var restart bool
	if u.inactive != nil {
		runs := c.state == stateActive && c.timer != nil
		kept := runs && *u.inactive != 0 && s.opts.Dialect.ResentTimerKeepsRunning
		changed := *u.inactive != c.inactiveAfter
		c.inactiveAfter = *u.inactive
		switch {
		case !kept:
			restart = c.state == stateActive
		case changed:
			s.runTimer(c, c.timerStarted)
		}
	}
	if u.closed != nil {
		restart = restart || c.state == stateInactive
		c.closedAfter = *u.closed
	}
	switch {
	case restart:
		s.startTimer(c)
	case c.state == stateActive:
		c.dateClosed = c.expectedClose()
	}
}

// expectedClose is when an active conversation would be closed; zero when one of its timers is off.
func (c *conversation) expectedClose() time.Time {
	if c.dateInactive.IsZero() || c.closedAfter == 0 {
		return time.Time{}
	}
	return c.dateInactive.Add(c.closedAfter)
}

// startTimer starts the timer of the conversation's state anew. The caller holds the state.
func (s *Simulator) startTimer(c *conversation) { s.runTimer(c, s.now) }

// runTimer lets the timer of the conversation's state run from a moment on: active to inactive, inactive to closed. The
// caller holds the state.
func (s *Simulator) runTimer(c *conversation, from time.Time) {
	s.unschedule(c.timer)
	c.timer, c.dateInactive, c.dateClosed, c.timerStarted = nil, time.Time{}, time.Time{}, from
	switch c.state {
	case stateActive:
		if c.inactiveAfter == 0 {
			return
		}
		c.dateInactive = from.Add(c.inactiveAfter)
		c.dateClosed = c.expectedClose()
		c.timer = s.at(c.dateInactive, func() { s.timerFires(c, stateInactive) })
	case stateInactive:
		if c.closedAfter == 0 {
			return
		}
		c.dateClosed = from.Add(c.closedAfter)
		c.timer = s.at(c.dateClosed, func() { s.timerFires(c, stateClosed) })
	}
}

func (s *Simulator) timerFires(c *conversation, state string) {
	s.note(KindTimer, "conversation "+state, c.sid)
	s.setState(c, state, reasonTimer, true)
}

// setState moves a conversation and starts the timer of its new state; webhooks fires the webhooks. When the dialect says
// so, one that gets closed takes its interaction channel with it. The caller holds the state and has checked that the
// conversation is not closed.
func (s *Simulator) setState(c *conversation, state, reason string, webhooks bool) {
	from := c.state
	c.state, c.updated = state, s.now
	s.startTimer(c)
	if from != state && webhooks {
		s.stateEvent(c, from, reason)
	}
	if state == stateClosed && s.opts.Dialect.ClosedConversationEndsChannel && c.channel != nil && c.channel.open() {
		s.endChannel(c.channel, channelClosed, true)
	}
}
