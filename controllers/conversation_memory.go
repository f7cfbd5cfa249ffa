package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

// acceptanceFresh is how old an accept may be for its event to count as an observation: Twilio delivers within a second
// as a rule. A replayed or late event is older, and the conversation is then observed in full before anything is written
// to it. So it is where the replica's clock is further off than this from Twilio's.
const acceptanceFresh = 15 * time.Second

// acceptances are accepts that events have announced and that were not acted on yet, by conversation. Each is handed
// out once: an event that is delivered again finds its reservation in seen, and counts as a wake-up only.
type acceptances struct {
	mutex sync.Mutex
	// announced is the task of each conversation that an accept event is to be looked at for, fresh or not.
	announced map[ConversationKey]string
	waiting   map[ConversationKey]inactivity.Acceptance
	seen      map[string]time.Time
	pruned    time.Time
}

// put keeps an accept for the next look at the conversation, unless it is old or its reservation was seen before.
func (a *acceptances) put(key ConversationKey, accepted inactivity.Acceptance, now time.Time) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.seen == nil {
		a.seen, a.waiting = map[string]time.Time{}, map[ConversationKey]inactivity.Acceptance{}
		a.announced = map[ConversationKey]string{}
	}
	a.announced[key] = accepted.TaskSID
	if age := now.Sub(accepted.At).Abs(); age > acceptanceFresh {
		return
	}
	a.prune(now)
	if _, repeated := a.seen[accepted.ReservationSID]; repeated {
		return
	}
	a.seen[accepted.ReservationSID] = now
	a.waiting[key] = accepted
}

// giveBack keeps what was taken for the next attempt, when the one it was taken for has failed.
func (a *acceptances) giveBack(key ConversationKey, accepted *inactivity.Acceptance, announced string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if _, newer := a.announced[key]; !newer {
		a.announced[key] = announced
	}
	if _, newer := a.waiting[key]; !newer && accepted != nil {
		a.waiting[key] = *accepted
	}
}

// prune forgets, once in a while, what is too old to be handed out or to be repeated as fresh.
func (a *acceptances) prune(now time.Time) {
	if now.Sub(a.pruned) < acceptanceFresh {
		return
	}
	a.pruned = now
	for sid, at := range a.seen {
		if now.Sub(at) > 3*acceptanceFresh {
			delete(a.seen, sid)
		}
	}
	for key, accepted := range a.waiting {
		if now.Sub(accepted.At) > acceptanceFresh {
			delete(a.waiting, key)
		}
	}
}

// take returns the accept that waits for the conversation, if it is still fresh, and the task that an accept event has led to
// the look for, fresh or not; empty: none has. It forgets both.
func (a *acceptances) take(key ConversationKey, now time.Time) (fresh *inactivity.Acceptance, announced string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	announced = a.announced[key]
	accepted, found := a.waiting[key]
	delete(a.announced, key)
	delete(a.waiting, key)
	if !found || now.Sub(accepted.At).Abs() > acceptanceFresh {
		return nil, announced
	}
	return &accepted, announced
}

// plan is what the leader knows about a conversation: when it will look at it again, so that the sweep need not.
type plan struct {
	// policies is the revision of the workspace's policies that it was made under.
	policies [16]byte
	// owner is the policy that owns the conversation, or, if it is undecided, whose expression cannot tell; zero: none
	// does. holds is what the tasks said of being held.
	owner     types.NamespacedName
	undecided bool
	holds     string
	// lookAt is when the leader looks again, by its own clock; zero: not before the conversation is heard of.
	lookAt time.Time
	due    bool
	held   bool
	// failed says that the last look failed, and lookAt when the sweep may ask for another.
	failed bool
}

// plans are the leader's plans by conversation. They are a cache: a new leader begins with none, and its first sweep
// has every open conversation looked at.
type plans struct {
	mutex sync.Mutex
	known map[ConversationKey]plan
}

func (p *plans) put(key ConversationKey, next plan) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.known == nil {
		p.known = map[ConversationKey]plan{}
	}
	p.known[key] = next
}

func (p *plans) get(key ConversationKey) (plan, bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known, found := p.known[key]
	return known, found
}

func (p *plans) forget(key ConversationKey) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.known, key)
}

// retain forgets the conversations of the workspace that are not in open, and reports whether the last look at one of those
// that are left has failed.
func (p *plans) retain(workspaceSID string, open map[ConversationKey]bool) (failed bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for key, one := range p.known {
		switch {
		case key.WorkspaceSID != workspaceSID:
		case !open[key]:
			delete(p.known, key)
		default:
			failed = failed || one.failed
		}
	}
	return failed
}
