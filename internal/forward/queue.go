package forward

import (
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// item is an event that waits to be passed on.
type item struct {
	workspaceSID string
	policy       corev1.ObjectReference
	to           *destination
	header       http.Header
	body         []byte
	arrived      time.Time
	attempts     int // that were made, under the forwarder's lock
}

func (i *item) size() int { return len(i.body) + eventOverhead }

// queue holds the items of all targets. Its user locks it.
type queue struct {
	targets       map[string]*target
	events, bytes int
}

// target is an endpoint with its items.
type target struct {
	address       string
	lanes         map[string]*lane
	waiting       []*lane // those whose first item can be tried, in turn
	workers       int
	events, bytes int
}

// lane is the items of a task, which are passed on one after the other. It is either waiting for a worker, in the hands of
// one, or in a pause.
type lane struct {
	key   string
	items []*item
}

func newQueue() *queue { return &queue{targets: make(map[string]*target)} }

// fits reports whether an item can be taken within the bounds.
func (q *queue) fits(it *item) bool {
	if q.events+1 > maxEvents || q.bytes+it.size() > maxBytes {
		return false
	}
	to := q.targets[it.to.address]
	return to == nil || to.events+1 <= maxTargetEvents && to.bytes+it.size() <= maxTargetBytes
}

// add appends an item to its lane. It returns the target if there is now something to do that there was not.
func (q *queue) add(it *item, key string) *target {
	to := q.targets[it.to.address]
	if to == nil {
		to = &target{address: it.to.address, lanes: make(map[string]*lane)}
		q.targets[it.to.address] = to
	}
	q.count(to, 1, it.size())
	known, ok := to.lanes[key]
	if !ok {
		known = &lane{key: key}
		to.lanes[key] = known
	}
	known.items = append(known.items, it)
	if len(known.items) > 1 {
		return nil
	}
	to.ready(known)
	return to
}

// done takes the first item out of a lane that a worker has in hand.
func (q *queue) done(to *target, lane *lane) {
	q.count(to, -1, -lane.items[0].size())
	lane.items[0] = nil
	lane.items = lane.items[1:]
	if len(lane.items) == 0 {
		delete(to.lanes, lane.key)
		return
	}
	to.ready(lane)
}

func (q *queue) count(to *target, events, bytes int) {
	q.events, q.bytes = q.events+events, q.bytes+bytes
	to.events, to.bytes = to.events+events, to.bytes+bytes
}

// forget drops a target that has nothing to do and nobody at work.
func (q *queue) forget(to *target) {
	if to.workers == 0 && len(to.lanes) == 0 && q.targets[to.address] == to {
		delete(q.targets, to.address)
	}
}

// ready makes a lane wait for a worker.
func (t *target) ready(lane *lane) { t.waiting = append(t.waiting, lane) }

// next takes the lane that has waited longest; nil when none waits.
func (t *target) next() *lane {
	if len(t.waiting) == 0 {
		return nil
	}
	first := t.waiting[0]
	t.waiting[0] = nil
	t.waiting = t.waiting[1:]
	return first
}
