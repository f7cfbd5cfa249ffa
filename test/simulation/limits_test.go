package simulation

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// limitWindow is how long the beginnings of endings are surely counted together: of the 60 seconds of a limit those that
	// the requests of an ending may take before it shows.
	limitWindow = time.Minute - 30*time.Second

	// degradedAfter is how long Twilio may fail before policies say so.
	degradedAfter = 5 * time.Minute
)

// beginning is an ending that a replica has begun for a policy.
type beginning struct {
	at           time.Time
	conversation string
	by           *replica
}

// withinLimit judges that a replica begins no more endings than the policy allows, and that it is the leader's business where
// there is a limit.
func (j judgement) withinLimit(policy string) {
	most, unlimited := 0, false
	for _, then := range j.since(limitWindow + stale) {
		for _, one := range then.policies {
			if one.Namespace+"/"+one.Name == policy {
				limit := 0
				if one.Spec.Limits != nil {
					limit = int(one.Spec.Limits.ClosesPerMinute)
				}
				most, unlimited = max(most, limit), unlimited || limit == 0
			}
		}
	}
	begun := slices.DeleteFunc(j.beginnings[policy], func(one beginning) bool { return time.Since(one.at) >= limitWindow || one.conversation == j.sid })
	j.beginnings[policy] = append(begun, beginning{time.Now(), j.sid, j.attempt.replica})
	if unlimited || most == 0 {
		return
	}
	own := slices.DeleteFunc(slices.Clone(j.beginnings[policy]), func(one beginning) bool { return one.by != j.attempt.replica })
	j.w.tally.count("endings under a limit", 1)
	switch {
	case !j.attempt.replica.leads.Load():
		j.wrong("%s limits its endings, and the replica does not lead", policy)
	case len(own) > most:
		j.wrong("%s limits its endings to %d a minute, and this is the %d. in %s", policy, most, len(own), limitWindow)
	}
}

// tellsOf checks, just before an outage is over, that the policies say that Twilio fails, if it was long enough for the same
// replica to find out.
func (w *world) tellsOf(out outage) {
	if out.to.After(w.calm) {
		out.to = w.calm
	}
	w.wait(out.to.Add(-time.Millisecond))
	if w.ended.Load() {
		return
	}
	enough := degradedAfter + 2*w.sweepInterval + time.Minute
	findsOut := func(r *replica) bool {
		led := r.led.Load()
		return led != nil && r.moves() && r.frozen.Load() == nil && out.to.Sub(later(*led, out.from)) > enough
	}
	if !slices.ContainsFunc(w.alive(), findsOut) {
		return
	}
	for _, policy := range w.cluster.all() {
		since := policy.Status.EffectiveSince
		if since == nil || since.After(out.from) || policy.Spec.Suspend || !policy.DeletionTimestamp.IsZero() || policy.Status.ObservedGeneration != policy.Generation {
			continue
		}
		w.tally.count("policies in an outage", 1)
		if meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady) {
			w.wrong("%s/%s is Ready, and Twilio has failed since %s", policy.Namespace, policy.Name, out.from.UTC().Format(time.TimeOnly))
		}
	}
}

// recovered checks that no policy says that Twilio fails when it does not.
func (c *checker) recovered() {
	for _, policy := range c.w.cluster.all() {
		if ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionTrue &&
			(ready.Reason == v1alpha1.ReasonDegraded || ready.Reason == v1alpha1.ReasonTwilioUnavailable || ready.Reason == v1alpha1.ReasonUnauthorized) {
			c.w.wrong("%s/%s says %s, and nothing fails: %s", policy.Namespace, policy.Name, ready.Reason, ready.Message)
		}
	}
}
