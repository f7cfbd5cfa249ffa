package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// deletionPatience is how long putting a callback back is tried in vain before the policy is let go, and deletionLimit how
	// old a deletion is that whoever leads tries only once (docs/operations.md).
	deletionPatience = 2 * time.Minute
	deletionLimit    = 30 * time.Minute

	// apiServer is what fails when a write to Kubernetes does.
	apiServer = "the API server"
)

// failure is something that went wrong for a replica.
type failure struct {
	of string
	at time.Time
}

// fails takes note of what went wrong for a replica: a request about a workspace, the reading of a Secret, or a write to the
// API server.
func (c *checker) fails(r *replica, of string) {
	of = strings.TrimPrefix(of, "/v1/Workspaces/")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[r.name] = append(c.failures[r.name], failure{of, time.Now()})
}

// abandoned judges that the operator lets a policy go whose callback it could not put back, and takes note that it has asked
// for that to be done by hand, which nobody does. It must have tried for as long as is promised, and the last try must have failed.
func (c *checker) abandoned(r *replica, policy *v1alpha1.InactivityPolicy, said string) {
	if r.crashed() {
		return // nobody hears it
	}
	c.w.tally.count("callbacks left to be put back by hand", 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	words := strings.Fields(said) // Workspace WS… may still call …
	sid := words[1]
	slot := c.slots[sid]
	slot.accepted = joined(slot.accepted, []setting{c.setting(sid), {}})
	if policy.DeletionTimestamp.IsZero() {
		c.w.wrong("I6: %s gives up putting the callback of %s back for %s, which is not being deleted", r.name, sid, policy.Name)
		return
	}
	deleted, reasons := policy.DeletionTimestamp.Time, []string{sid, apiServer, policy.Namespace + "/" + secretName}
	inVain := slices.DeleteFunc(slices.Clone(c.failures[r.name]), func(one failure) bool {
		return one.at.Before(deleted) || !slices.Contains(reasons, one.of)
	})
	switch {
	case len(inVain) == 0 || time.Since(inVain[len(inVain)-1].at) > requests:
		c.w.wrong("I6: %s gives up putting the callback of %s back for %s, and nothing has failed", r.name, sid, policy.Name)
	case time.Since(inVain[0].at) < deletionPatience && time.Since(deleted)+r.skew < deletionLimit:
		c.w.wrong("I6: %s gives up putting the callback of %s back for %s after %s", r.name, sid, policy.Name, time.Since(inVain[0].at))
	}
}
