package twiliosim

import (
	"container/heap"
	"context"
	"time"
)

// deadline is something that happens at a moment of the simulator's clock.
type deadline struct {
	at       time.Time
	sequence int64
	index    int // in the heap; -1 when it fired or was cancelled
	run      func()
}

// deadlineHeap orders deadlines by time, then by when they were set, so that a step of a fake clock over several of
// them fires them in the order in which they would have happened.
type deadlineHeap []*deadline

func (h deadlineHeap) Len() int { return len(h) }
func (h deadlineHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].sequence < h[j].sequence
}
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is part of heap.Interface.
func (h *deadlineHeap) Push(x any) {
	d := x.(*deadline)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop is part of heap.Interface.
func (h *deadlineHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	d.index = -1
	return d
}

// at schedules run for the given moment. The state is locked when run is called. The caller holds the state.
func (s *Simulator) at(moment time.Time, run func()) *deadline {
	s.sequence++
	return s.schedule(moment, s.sequence, run)
}

// schedule is at with a place of its own among the deadlines of that moment.
func (s *Simulator) schedule(moment time.Time, sequence int64, run func()) *deadline {
	d := &deadline{at: moment, sequence: sequence, run: run}
	heap.Push(&s.deadlines, d)
	if d.index == 0 {
		select {
		case s.wake <- struct{}{}:
		default: // a wake-up is pending already
		}
	}
	return d
}

// unschedule cancels a deadline; nil and one that fired already are fine. The caller holds the state.
func (s *Simulator) unschedule(d *deadline) {
	if d != nil && d.index >= 0 {
		heap.Remove(&s.deadlines, d.index)
	}
}

// settle fires every deadline that is due, in order, each at its own moment: what it changes is dated by the deadline,
// not by when the simulator got round to it. The caller holds the state.
func (s *Simulator) settle() {
	present := s.clock.Now()
	for len(s.deadlines) > 0 && !s.deadlines[0].at.After(present) {
		d := heap.Pop(&s.deadlines).(*deadline)
		if d.at.After(s.now) {
			s.now = d.at
		}
		d.run()
	}
	s.now = present
}

// runTimers sleeps until the next deadline, for as long as the simulator lives.
func (s *Simulator) runTimers() {
	for {
		s.mu.Lock()
		s.settle()
		waiting := len(s.deadlines) > 0
		var next time.Time
		if waiting {
			next = s.deadlines[0].at
		}
		s.mu.Unlock()
		if !s.sleepUntil(next, waiting) {
			return
		}
	}
}

// sleepUntil returns at the given moment (never, when there is none) or when an earlier deadline was set. It reports
// false when the simulator was closed.
func (s *Simulator) sleepUntil(moment time.Time, scheduled bool) bool {
	var elapsed <-chan time.Time
	if scheduled {
		timer := s.clock.NewTimer(moment.Sub(s.clock.Now()))
		defer timer.Stop()
		// A fake clock that was stepped between the two lines above would leave the timer late by that step.
		if !s.clock.Now().Before(moment) {
			return s.ctx.Err() == nil
		}
		elapsed = timer.C()
	}
	select {
	case <-elapsed:
	case <-s.wake:
	case <-s.ctx.Done():
		return false
	}
	return true
}

// WaitIdle returns when every timer that is due has fired and no callback is being delivered. A retry that waits for
// the clock does not count, nor does a callback that the dialect delays. With a fake clock this makes a test's step
// complete: step, WaitIdle, look.
func (s *Simulator) WaitIdle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle.Broadcast()
	})
	defer stop()
	s.lock()
	defer s.mu.Unlock()
	for s.inFlight > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.idle.Wait()
		s.settle()
	}
	return ctx.Err()
}
