package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

const (
	// observedLate is how much later than due a step is noted in the ordinary course: a sweep interval and the slack.
	observedLate = 2 * time.Minute

	// maxObservations bounds what is kept of one conversation under a policy that only observes.
	maxObservations = 16
)

// observations are what policies that only observe would have sent, by conversation, newest first. They stand in for the
// messages, so that each step is noted once for each silence. They are a memory: after a restart a step may be noted again.
type observations struct {
	mutex sync.Mutex
	known map[ConversationKey][]inactivity.Message
}

func (o *observations) of(key ConversationKey) []inactivity.Message {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return slices.Clone(o.known[key])
}

func (o *observations) add(key ConversationKey, message inactivity.Message) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.known == nil {
		o.known = map[ConversationKey][]inactivity.Message{}
	}
	messages := append([]inactivity.Message{message}, o.known[key]...)
	o.known[key] = messages[:min(len(messages), maxObservations)]
}

func (o *observations) forget(key ConversationKey) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	delete(o.known, key)
}

// retain forgets the conversations of the workspace that are not in open.
func (o *observations) retain(workspaceSID string, open map[ConversationKey]bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for key := range o.known {
		if key.WorkspaceSID == workspaceSID && !open[key] {
			delete(o.known, key)
		}
	}
}

// observe notes what a policy that only observes would do now: one line, one count and one event for each step. It
// reports whether there may be more to say; what follows on an ending is not. It is the leader that observes.
func (p *pass) observe(ctx context.Context, decision inactivity.Decision) bool {
	switch decision.Act {
	case inactivity.ActWarn, inactivity.ActHoldingText, inactivity.ActNotice, inactivity.ActClaim:
	default:
		return false
	}
	if !p.reconciler.isLeader() || p.snapshot.Messages == nil {
		return false
	}
	marker := p.marker(decision)
	if decision.Act == inactivity.ActClaim {
		marker.Step, marker.Action = inactivity.StepNotice, p.policy.Action
	}
	noted := inactivity.Message{Marker: &marker, Author: p.policy.Author, At: p.snapshot.Now}
	if p.snapshot.Now.Sub(decision.StepDue) < observedLate {
		// The leader comes a little later than Twilio's timer would; that must not put off what follows.
		noted.At = decision.StepDue
	}
	p.reconciler.observations.add(p.key, noted)
	p.snapshot.Messages.Newest = append([]inactivity.Message{noted}, p.snapshot.Messages.Newest...)

	p.reconciler.Acts(string(decision.Act), outcomeObserved)
	p.audit(ctx, decision, outcomeObserved, decision.Claim)
	p.recordAct(corev1.EventTypeNormal, reasonWouldAct, fmt.Sprintf("Conversation %s, due at %s: %s (%s), if spec.mode were Enforce",
		p.key.ConversationSID, decision.StepDue.UTC().Format(time.RFC3339), told(decision), decision.Reason))
	return true
}
