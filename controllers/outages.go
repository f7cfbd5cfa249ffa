package controllers

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// degradedAfter is how long Twilio may fail before the policies say that it is not a passing trouble.
const degradedAfter = 5 * time.Minute

// workKind is a kind of work that the leader asks of Twilio again and again.
type workKind int

const (
	// sweeping lists the tasks of a workspace.
	sweeping workKind = iota
	// looking is looking at the conversations of a workspace, with the acts that follow.
	looking
	// configuring is looking at a policy's workspace.
	configuring
)

// work is what fails or not: that of a workspace, or that of a policy.
type work struct {
	kind         workKind
	workspaceSID string
	policy       types.NamespacedName
}

func sweepingOf(workspaceSID string) work { return work{kind: sweeping, workspaceSID: workspaceSID} }
func lookingAt(workspaceSID string) work  { return work{kind: looking, workspaceSID: workspaceSID} }
func configuringOf(policy types.NamespacedName) work {
	return work{kind: configuring, policy: policy}
}

// outage is work that Twilio has not done since a moment, although it was asked to.
type outage struct {
	since time.Time
	// what and cure say how the first attempt failed, and what to do: the same words for as long as it lasts.
	what, cure string
	// refused says that Twilio has refused the credentials at the latest attempt.
	refused bool
}

// stage is what an outage means for the policies.
type stage int

const (
	// passing: the next attempt may work.
	passing stage = iota
	// refused: the policies may have to say that their credentials are refused.
	refused
	// lasting: the policies have to say that they are degraded.
	lasting
)

func (o outage) stage(now time.Time) stage {
	switch {
	case now.Sub(o.since) >= degradedAfter:
		return lasting
	case o.refused:
		return refused
	default:
		return passing
	}
}

// Outages remembers what Twilio has failed to do for the leader without a success in between. It is a cache: a new leader
// begins with none. There is one entry at most for each kind of work of a workspace or policy. The zero value is empty and
// ready, and safe for concurrent use.
type Outages struct {
	mutex   sync.Mutex
	ongoing map[work]outage
	// told is the stage of each as of the last call of changed.
	told map[work]stage
}

// observe notes how an attempt at some work has ended: nil is a success. An error that is not Twilio's tells nothing.
func (o *Outages) observe(done work, now time.Time, err error) {
	var failed *twilio.Error
	o.mutex.Lock()
	defer o.mutex.Unlock()
	switch {
	case twilio.IsOutage(err):
		ongoing, known := o.ongoing[done]
		if !known {
			ongoing.since = now
			ongoing.what, ongoing.cure = described(err)
		}
		ongoing.refused = twilio.IsUnauthorized(err)
		if o.ongoing == nil {
			o.ongoing = map[work]outage{}
		}
		o.ongoing[done] = ongoing
	case err == nil, errors.As(err, &failed) && failed.Status != 0: // also a refusal is an answer
		delete(o.ongoing, done)
	}
}

// longest is the longest of the lasting outages that concern a policy.
func (o *Outages) longest(policy *v1alpha1.InactivityPolicy, now time.Time) (outage, bool) {
	concerned := []work{configuringOf(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name})}
	if workspace := policy.Status.Workspace; workspace != nil {
		concerned = append(concerned, sweepingOf(workspace.SID), lookingAt(workspace.SID))
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	var longest outage
	found := false
	for _, one := range concerned {
		if ongoing, known := o.ongoing[one]; known && ongoing.stage(now) == lasting && (!found || ongoing.since.Before(longest.since)) {
			longest, found = ongoing, true
		}
	}
	return longest, found
}

// changed is the work whose outages have come to another stage, or to their end, since the last call: its policies have to
// look. What nobody asks of Twilio any more, because it is not wanted, is forgotten.
func (o *Outages) changed(now time.Time, wanted func(work) bool) []work {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	maps.DeleteFunc(o.ongoing, func(one work, _ outage) bool { return !wanted(one) })
	stages := map[work]stage{}
	for one, ongoing := range o.ongoing {
		if reached := ongoing.stage(now); reached != passing {
			stages[one] = reached
		}
	}
	var changed []work
	for one, reached := range stages {
		if o.told[one] != reached {
			changed = append(changed, one)
		}
	}
	for one := range o.told {
		if _, goesOn := stages[one]; !goesOn {
			changed = append(changed, one)
		}
	}
	o.told = stages
	return changed
}

// described says how Twilio has failed and what to do about it, in words that do not change from one attempt to the next.
func described(err error) (what, cure string) {
	const nothingHere = "see https://status.twilio.com, and whether the operator reaches Twilio"
	var failed *twilio.Error
	if !errors.As(err, &failed) {
		return "no answer", nothingHere
	}
	switch {
	case twilio.IsThrottled(err):
		return failed.Operation + ": too many requests", "find what else asks so much of the account's API"
	case twilio.IsUnauthorized(err):
		return failed.Operation + ": credentials refused", "check what the credentials in the Secret may do"
	case failed.Status == 0:
		return failed.Operation + ": no answer", nothingHere
	case failed.Foreign:
		return fmt.Sprintf("%s: status %d, not from Twilio", failed.Operation, failed.Status), "check what stands between the operator and Twilio"
	default:
		return fmt.Sprintf("%s: status %d", failed.Operation, failed.Status), nothingHere
	}
}

// message is what the condition Ready says.
func (o outage) message() string {
	return fmt.Sprintf("Twilio has failed since %s (%s): idle conversations are ended when it answers again; %s",
		o.since.UTC().Format(time.RFC3339), o.what, o.cure)
}

// degrade puts a lasting outage in the place of a problem that says no more than that Twilio is not available, and notes it
// in the scope of a policy that has no problem of its own. A leader that has just taken over has no outages yet: while Twilio
// goes on failing it leaves what its predecessor has said.
func (r *InactivityPolicyReconciler) degrade(policy *v1alpha1.InactivityPolicy, scope *scope, found *problem) *problem {
	if policy.Spec.Suspend || found != nil && found.reason != v1alpha1.ReasonTwilioUnavailable || found == nil && scope.overlap.coveredBy != "" {
		return found
	}
	message := ""
	if ongoing, lasts := r.Outages.longest(policy, r.Clock.Now()); lasts {
		message = ongoing.message()
	} else if found != nil && readyReason(policy) == v1alpha1.ReasonDegraded {
		message = readyMessage(policy)
	}
	if message == "" {
		return found
	}
	degraded := &problem{class: transient, reason: v1alpha1.ReasonDegraded, message: message}
	if found == nil {
		scope.degraded = degraded
		return nil
	}
	degraded.cause = found.cause
	return degraded
}
