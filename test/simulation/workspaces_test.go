package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// setting is what a workspace calls, and for which events.
type setting struct{ url, filter string }

// othersURL is the callback of somebody else.
const othersURL = "https://others.example.net/taskrouter"

// setUpWorkspaces makes the account's workspaces; some call somebody else already.
func (w *world) setUpWorkspaces(draw *rand.Rand) {
	w.workspaces = []*workspace{{sid: w.twilio.WorkspaceSID(), name: "Flex Task Assignment"}}
	if second := chance(draw, 0.3); w.script != nil || second && w.plays("a second workspace") {
		const name = "Another Task Assignment"
		w.workspaces = append(w.workspaces, &workspace{sid: w.twilio.AddWorkspace(name), name: name})
	}
	for _, one := range w.workspaces {
		if _, err := w.twilio.AddTaskQueueIn(one.sid, "Sales"); err != nil {
			panic(err)
		}
		w.checker.slots[one.sid] = &slot{accepted: []setting{{}}, read: map[string]sighting{}}
		if earlier := drawSetting(draw); chance(draw, 0.5) && w.plays("earlier callback of "+one.name) {
			w.configure(one.sid, earlier)
		}
	}
}

// drawSetting draws what somebody else wants to be called for: often enough what has been there before.
func drawSetting(draw *rand.Rand) setting {
	return setting{
		fmt.Sprint(othersURL, "/", draw.IntN(3)),
		oneOf(draw, "task.created,task.canceled", "task.created, reservation.accepted", "reservation.accepted", ""),
	}
}

// interfere has people change workspaces by hand now and then.
func (w *world) interfere(draw *rand.Rand) {
	every := oneOf(draw, 0, 0, 2*time.Hour, 8*time.Hour)
	if w.callbacksOnly {
		every = oneOf(draw, 0, 10*time.Minute, time.Hour)
	}
	for i := 0; every > 0; i++ {
		time.Sleep(between(draw, time.Second, every))
		if w.isCalm() {
			return
		}
		part := fmt.Sprintf("edit of a workspace %d", i)
		if !w.plays(part) {
			continue
		}
		draw := w.dice.roll(part)
		one := oneOf(draw, w.workspaces...)
		now := w.checker.setting(one.sid)
		switch oneOf(draw, "call others", "call who was called before", "call nobody", "call nobody", "more events", "fewer events", "other form") {
		case "call others":
			now = drawSetting(draw)
		case "call who was called before":
			now = w.checker.calledBefore(one.sid)
		case "call nobody":
			now = setting{}
		case "more events":
			now.filter = strings.TrimPrefix(now.filter+",task.completed", ",")
		case "fewer events":
			now.filter = "task.created"
		case "other form":
			now.filter = strings.ReplaceAll(now.filter, ",", ", ")
		}
		w.tally.count("edits of workspaces", 1)
		w.configure(one.sid, now)
	}
}

// configure changes a workspace as its owner does in the console.
func (w *world) configure(sid string, to setting) {
	w.checker.configured(sid, to)
	if err := w.asOther("/v1/Workspaces/"+sid, url.Values{"EventCallbackUrl": {to.url}, "EventsFilter": {to.filter}}); err != nil {
		panic(err)
	}
	w.tell("somebody sets the callback of %s to %+v", sid, to)
}

// asOther has another program of the account's owner make a request.
func (w *world) asOther(path string, form url.Values) error {
	request := httptest.NewRequest(http.MethodPost, "http://twilio.simulated"+path, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(w.twilio.AccountSID(), w.twilio.AuthToken())
	recorder := httptest.NewRecorder()
	if w.twilioHandler.ServeHTTP(recorder, request); recorder.Code != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
	}
	return nil
}

// slot is the one callback of a workspace, for which the operator and others compete.
type slot struct {
	// accepted is what may be in it when the last policy has gone: what others have put there last. It is more than one
	// where the operator cannot know, because the workspace was changed between its look and its write.
	accepted []setting
	// others is when others last changed it, and before what was accepted until then.
	others time.Time
	before []setting
	// seen says that the operator has said since that the callback is in use, or has taken it.
	seen bool
	// read is what each replica last saw of the workspace.
	read map[string]sighting
	// put is all that others have ever put into it.
	put []setting
}

// joined are the settings of both, each once.
func joined(some, more []setting) []setting {
	all := slices.Clone(some)
	for _, one := range more {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// setting is what a workspace has now.
func (c *checker) setting(sid string) setting {
	for _, one := range c.w.twilio.State().Workspaces {
		if one.SID == sid {
			return setting{one.EventCallbackURL, one.EventsFilter}
		}
	}
	panic("there is no workspace " + sid)
}

// calledBefore is what others have put into a workspace last that calls anybody, or nothing.
func (c *checker) calledBefore(sid string) setting {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range slices.Backward(c.slots[sid].put) {
		if one.url != "" {
			return one
		}
	}
	return setting{}
}

// isOurs says whether a workspace calls the operator.
func (s setting) isOurs(w *world) bool { return strings.HasPrefix(s.url, w.publicURL.String()+"/") }

// configured takes note of what others are about to put into a workspace.
func (c *checker) configured(sid string, to setting) {
	was := c.setting(sid)
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.slots[sid]
	if to.isOurs(c.w) {
		return // other events of the operator's callback: what comes back is what was there before it
	}
	slot.put = append(slot.put, to)
	// What the operator has never seen it cannot put back.
	known := slot.accepted
	if !slot.seen {
		known = joined(slot.before, known)
	}
	gone := was.url == "" || was.isOurs(c.w) || !slot.seen
	slot.before, slot.others, slot.seen, slot.accepted = known, time.Now(), false, []setting{to}
	if to.url == "" && gone {
		// The operator's callback is taken away. What comes back in the end is what was there before it, or nothing.
		slot.accepted = joined(known, []setting{to})
	}
}

// workspaceOf is the workspace that a request is about; nothing if it is about none, or about something in it.
func (c *checker) workspaceOf(path string) string {
	rest, found := strings.CutPrefix(path, "/v1/Workspaces/")
	if _, known := c.slots[rest]; found && known {
		return rest
	}
	return ""
}

// workspacesSeen is what a look shows of workspaces now.
func (c *checker) workspacesSeen(a *attempt) map[string]sighting {
	seen := map[string]sighting{}
	for sid := range c.slots {
		if a.path == "/v1/Workspaces" || a.path == "/v1/Workspaces/"+sid {
			seen[sid] = sighting{time.Now(), c.setting(sid)}
		}
	}
	return seen
}

// sees takes note of what a policy's status says of others' callbacks. The caller holds the state.
func (c *checker) sees(policy *v1alpha1.InactivityPolicy) {
	for _, condition := range policy.Status.Conditions {
		for sid, slot := range c.slots {
			others := slot.accepted[len(slot.accepted)-1].url
			if condition.Reason == v1alpha1.ReasonCallbackInUse && strings.Contains(condition.Message, sid) && strings.Contains(condition.Message, others) {
				slot.seen = true
			}
		}
	}
}

// takes judges a write to a workspace, before it takes effect.
func (c *checker) takes(a *attempt, sid string) {
	was := c.setting(sid)
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, to := c.slots[sid], setting{a.form.Get("EventCallbackUrl"), a.form.Get("EventsFilter")}
	if to.isOurs(c.w) {
		c.sets(a, sid, to)
	}
	if was.url == "" || was.isOurs(c.w) || to == was {
		if a.known.workspace.at.Before(slot.others) {
			slot.accepted = joined(slot.before, slot.accepted)
		}
		return
	}
	if a.known.workspace.at.Before(slot.others) {
		slot.accepted = joined(slot.before, slot.accepted) // it was put there unseen, between look and write
		return
	}
	slot.seen = true
	asked := slices.ContainsFunc(c.recent(), func(s snapshot) bool {
		return slices.ContainsFunc(s.policies, func(p *v1alpha1.InactivityPolicy) bool {
			return c.w.named(p.Spec.Workspace, sid) && conflictOf(p) != v1alpha1.ConflictRefuse
		})
	})
	if !asked {
		c.w.wrong("I5: %s replaces %+v by %v, and no policy of the workspace says Replace or Forward", a.replica.name, was, a.form)
	}
}

// named says whether a policy's reference names a workspace.
func (w *world) named(reference v1alpha1.WorkspaceReference, sid string) bool {
	return slices.ContainsFunc(w.workspaces, func(one *workspace) bool {
		return one.sid == sid && (reference.SID == one.sid || reference.FriendlyName == one.name)
	})
}

// callbacksAreAsWanted checks, when everything has settled, that the workspaces call the operator where a policy wants it.
func (c *checker) callbacksAreAsWanted() {
	policies := c.w.cluster.all()
	for _, one := range c.w.workspaces {
		wanted, takes := false, false
		for _, policy := range policies {
			if policy.Status.Workspace == nil || policy.Status.Workspace.SID != one.sid || policy.Spec.Suspend ||
				policy.Spec.Mode == v1alpha1.ModeObserve || policy.Spec.Callback != nil && policy.Spec.Callback.Mode == v1alpha1.CallbackDisabled {
				continue
			}
			wanted = true
			takes = takes || conflictOf(policy) != v1alpha1.ConflictRefuse
		}
		now := c.setting(one.sid)
		free := now.url == "" || now.isOurs(c.w)
		switch {
		case !wanted || !free && !takes:
		case !now.isOurs(c.w):
			c.w.wrong("I6: workspace %s has %+v, and a policy wants to be called", one.sid, now)
		default:
			c.filterIsAsWanted(one.sid, now, policies)
		}
	}
}

// conflictOf is what a policy says of callbacks of others.
func conflictOf(policy *v1alpha1.InactivityPolicy) v1alpha1.CallbackConflict {
	if policy.Spec.Callback == nil {
		return v1alpha1.ConflictRefuse
	}
	return cmp.Or(policy.Spec.Callback.OnConflict, v1alpha1.ConflictRefuse)
}

// retired checks that the workspaces are as they were.
func (c *checker) retired() {
	for sid, slot := range c.slots {
		if now := c.setting(sid); !slices.Contains(slot.accepted, now) {
			c.w.wrong("I6: workspace %s has %+v, and not %+v", sid, now, slot.accepted)
		}
	}
	for _, policy := range c.w.cluster.all() {
		c.w.wrong("I6: policy %s/%s is not gone", policy.Namespace, policy.Name)
	}
}
