package simulation

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// answered judges how a replica that is ready has answered a callback of Twilio's.
func (c *checker) answered(r *replica, request *http.Request, body []byte, status int) {
	workspace := request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:]
	switch status {
	case http.StatusNoContent:
	case http.StatusNotFound:
		if c.isTheirs(workspace, maxWatchLag, func(*v1alpha1.InactivityPolicy) bool { return true }) {
			c.w.wrong("I7: %s says that there is no policy for %s, and there is one", r.name, workspace)
		}
	case http.StatusServiceUnavailable:
		if c.isTheirs(workspace, readAgain, func(policy *v1alpha1.InactivityPolicy) bool { return c.isKnown(r, policy, request, body) }) {
			c.w.wrong("I7: %s cannot verify a callback of %s, and has had the time to read with what", r.name, workspace)
		}
	default:
		c.w.wrong("I7: %s refuses a callback of Twilio's: %d", r.name, status)
	}
}

// isTheirs says whether one of the policies that meet a condition has had a workspace for so long.
func (c *checker) isTheirs(workspace string, length time.Duration, condition func(*v1alpha1.InactivityPolicy) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	recent := c.since(length)
	if len(recent) == 0 || recent[len(recent)-1].from.After(time.Now().Add(-length)) {
		return false
	}
	return slices.ContainsFunc(recent[0].policies, func(policy *v1alpha1.InactivityPolicy) bool {
		hadIt := func(then snapshot) bool {
			return slices.ContainsFunc(then.policies, func(was *v1alpha1.InactivityPolicy) bool {
				return was.UID == policy.UID && was.Status.Workspace != nil && was.Status.Workspace.SID == workspace
			})
		}
		return !slices.ContainsFunc(recent, func(then snapshot) bool { return !hadIt(then) }) && condition(policy)
	})
}

// isKnown says whether the replica has to have the token that has signed a callback from a policy's Secret: it has been in
// there for long enough, and could be read. The caller holds the state.
func (c *checker) isKnown(r *replica, policy *v1alpha1.InactivityPolicy, request *http.Request, body []byte) bool {
	secret := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.CredentialsSecretRef.Name}
	ready := r.ready.Load()
	failed := func(one failure) bool {
		// What could not be read at the start was waited for, up to a minute.
		counts := one.at.After(ready.at) || ready.took > time.Minute-time.Second
		return counts && one.of == secret.String() && time.Since(one.at) <= readAgain
	}
	form, err := url.ParseQuery(string(body))
	return err == nil && !slices.ContainsFunc(c.failures[r.name], failed) && slices.ContainsFunc(c.w.tokens(), func(token string) bool {
		return c.w.cluster.heldFor(secret, token, readAgain) && signs(token, request.URL.String(), form, request.Header)
	})
}

// tookAccept takes note that a replica was told, while nothing fails but callbacks, that an agent has accepted: before long the
// conversation has to have a webhook and a timer, unless something else has happened to it since.
func (c *checker) tookAccept(body []byte) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("EventType") != accepted || time.Now().Before(c.w.calm.Add(recovering)) {
		return
	}
	c.w.mu.Lock()
	sid := c.w.tasks[form.Get("TaskSid")]
	c.w.mu.Unlock()
	t := c.talk(sid)
	if t == nil {
		return
	}
	t.mu.Lock()
	accepts := len(t.accepts)
	t.mu.Unlock()
	time.AfterFunc(requests, func() { c.isArmed(t, sid, accepts) })
}

// isArmed checks that Twilio will tell the operator when a conversation has been silent that an agent has accepted.
func (c *checker) isArmed(t *talk, sid string, accepts int) {
	seen, tasks := c.look(sid)
	t.mu.Lock()
	defer t.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w.isOver() || t.started.ConversationSID != sid || len(t.accepts) != accepts || !t.hasAgent(seen, tasks) {
		return
	}
	policy := c.allKnown(t, sid).owner(c.policies[len(c.policies)-1])
	if policy == nil || !termsOf(policy).acts || !managesCallback(policy) {
		return
	}
	ours := func(webhook twiliosim.WebhookState) bool {
		return strings.HasPrefix(webhook.URL, c.w.publicURL.String()+"/")
	}
	if full := len(seen.Webhooks) == mostWebhooks && !slices.ContainsFunc(seen.Webhooks, ours); full {
		return
	}
	c.w.tally.count("accepts that were followed", 1)
	if !slices.ContainsFunc(seen.Webhooks, ours) || seen.InactiveAfter == 0 {
		c.w.wrong("I3: an agent has accepted %s (%s), and Twilio will not tell when it is silent", sid, t.name)
	}
}

// mostWebhooks is how many a conversation can have (https://www.twilio.com/docs/conversations-classic/conversations-limits).
const mostWebhooks = 5
