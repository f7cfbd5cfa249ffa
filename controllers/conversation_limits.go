package controllers

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

const (
	// throttleWindow is the time that a limit counts in.
	throttleWindow = time.Minute

	// throttleGather is how long a conversation that is due waits for others that have been due for longer: after an
	// outage they are all found within moments, in any order.
	throttleGather = 5 * time.Second

	// throttlePatience is how long the place in the queue is kept of a conversation that does not come back when it was to.
	throttlePatience = 2 * time.Minute
)

// admit lets the beginning of an ending pass, or has it wait for the policy's limit. Under a limit it is the leader alone
// that ends conversations, because nobody else knows who is due for the longest.
func (p *pass) admit(decision inactivity.Decision) inactivity.Decision {
	if p.owner == nil {
		return decision
	}
	name := client.ObjectKeyFromObject(p.owner)
	begins := decision.Act == inactivity.ActNotice || decision.Act == inactivity.ActClaim
	if !begins || p.admitted || p.policy.EndsPerMinute == 0 {
		return decision
	}
	waiting := inactivity.Decision{Act: inactivity.ActNone, Reason: inactivity.ReasonThrottled, Due: true}
	if !p.reconciler.isLeader() {
		return waiting
	}
	now := p.reconciler.Clock.Now()
	admitted, wait := p.reconciler.throttles.admit(name, p.key, decision.StepDue, p.policy.EndsPerMinute, now)
	if !admitted {
		waiting.Next = p.snapshot.Now.Add(wait)
		return waiting
	}
	p.admitted = true
	return decision
}

// throttles are the limits of the policies, as the leader keeps them.
type throttles struct {
	mutex    sync.Mutex
	policies map[types.NamespacedName]*throttle
}

// throttle is one policy's limit.
type throttle struct {
	// begun are when endings were begun within the window, oldest first.
	begun   []time.Time
	waiting map[ConversationKey]waiter
}

// waiter is a conversation that is due.
type waiter struct {
	due   time.Time
	first time.Time
	// back is when it was told to come back.
	back time.Time
}

// admit reports whether the conversation may be ended now, and how long it has to wait otherwise. In no window more than
// limit are admitted; those that have been due for the longest come first.
func (t *throttles) admit(policy types.NamespacedName, key ConversationKey, due time.Time, limit int, now time.Time) (admitted bool, wait time.Duration) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for other, limited := range t.policies {
		if other == policy {
			continue
		}
		if len(limited.begun) > 0 && now.Sub(limited.begun[len(limited.begun)-1]) >= throttleWindow {
			limited.begun = nil // of a policy that may be gone
		}
		t.remove(other, key)
	}
	if t.policies == nil {
		t.policies = map[types.NamespacedName]*throttle{}
	}
	own := t.policies[policy]
	if own == nil {
		own = &throttle{waiting: map[ConversationKey]waiter{}}
		t.policies[policy] = own
	}
	own.begun = slices.DeleteFunc(own.begun, func(at time.Time) bool { return now.Sub(at) >= throttleWindow })
	self, known := own.waiting[key]
	if !known {
		self.first = now
	}
	self.due, self.back = due, now
	own.waiting[key] = self
	defer func() {
		if !admitted {
			self.back = now.Add(wait)
			own.waiting[key] = self
		}
	}()

	ahead := 0
	for other, waiting := range own.waiting {
		if now.Sub(waiting.back) > throttlePatience {
			delete(own.waiting, other)
			continue
		}
		if cmp.Or(waiting.due.Compare(due), cmp.Compare(other.ConversationSID, key.ConversationSID)) < 0 {
			ahead++
		}
	}
	free := limit - len(own.begun)
	switch gathered := self.first.Add(throttleGather); {
	case now.Before(gathered):
		return false, gathered.Sub(now)
	case ahead < free:
		delete(own.waiting, key)
		own.begun = append(own.begun, now)
		return true, 0
	case free > 0:
		return false, throttleGather // those ahead are about to be admitted
	}
	// The place that is waited for is free when the ending that holds it is a window old, as many windows on as there are
	// whole windows of others ahead.
	holder := own.begun[min(ahead%limit, len(own.begun)-1)]
	return false, max(holder.Add(throttleWindow).Sub(now), time.Second) + time.Duration(ahead/limit)*throttleWindow
}

// withdraw takes a conversation that does not wait any more out of the queues.
func (t *throttles) withdraw(key ConversationKey) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for policy := range t.policies {
		t.remove(policy, key)
	}
}

// remove takes a conversation out of a policy's queue, and forgets the policy when there is nothing to remember.
func (t *throttles) remove(policy types.NamespacedName, key ConversationKey) {
	own := t.policies[policy]
	delete(own.waiting, key)
	if len(own.waiting) == 0 && len(own.begun) == 0 {
		delete(t.policies, policy)
	}
}

// queued is how many conversations wait for the policy's limit.
func (t *throttles) queued(policy types.NamespacedName, now time.Time) int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	count := 0
	if own := t.policies[policy]; own != nil {
		for _, waiting := range own.waiting {
			if now.Sub(waiting.back) <= throttlePatience && now.Sub(waiting.first) >= throttleGather {
				count++
			}
		}
	}
	return count
}
