package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// accepted is the event that the operator needs.
	accepted = "reservation.accepted"

	// longestLook is how old what a write to a workspace is based on may be: the operator looks at a policy for two minutes at
	// most, its last request may take effect a little after it has given up, and its cache may be behind.
	longestLook = 2*time.Minute + lateness + maxWatchLag
)

// sighting is when a replica read a workspace, and what it saw.
type sighting struct {
	at      time.Time
	setting setting
}

// names are the events in a filter.
func (s setting) names() []string {
	return slices.DeleteFunc(strings.Split(strings.ReplaceAll(s.filter, " ", ""), ","), func(name string) bool { return name == "" })
}

// keeps says whether a filter lets all of these events pass.
func (s setting) keeps(events []string) bool {
	return !slices.ContainsFunc(events, func(event string) bool { return !s.passes(event) })
}

// wants says whether the policy may have the workspace call the operator.
func wants(policy *v1alpha1.InactivityPolicy) bool {
	return managesCallback(policy) && !policy.Spec.Suspend && policy.DeletionTimestamp.IsZero()
}

// sets judges a write that has a workspace call the operator, by what the replica had read: some policy has to want that, and
// the filter has to have what is promised to be in it (docs/callbacks.md). The caller holds the state.
func (c *checker) sets(a *attempt, sid string, to setting) {
	wrong := func(format string, args ...any) {
		c.w.wrong("%s sets the callback of %s to %+v and saw %+v: "+format, append([]any{a.replica.name, sid, to, a.known.workspace.setting}, args...)...)
	}
	recent := c.since(longestLook)
	if !slices.ContainsFunc(recent, func(s snapshot) bool {
		return slices.ContainsFunc(s.policies, func(p *v1alpha1.InactivityPolicy) bool { return c.w.named(p.Spec.Workspace, sid) && wants(p) })
	}) {
		wrong("I4: no policy that acts has asked for callbacks")
		return
	}
	saw := a.known.workspace.setting
	var may demand
	for _, then := range recent {
		may.add(then, sid)
	}
	others := !saw.isOurs(c.w) && saw.url != ""
	switch {
	case to.filter == "":
		if !may.all {
			wrong("I5: nobody is owed all events")
		}
	case !to.passes(accepted):
		wrong("I3: without %s nobody calls when an agent accepts", accepted)
	case others && !may.plain && !to.keeps(saw.names()):
		wrong("F2: their events are to be forwarded")
	case saw.isOurs(c.w) && !to.keeps(saw.names()) && (!may.end || to.filter != accepted):
		wrong("I5: others have added what is missing")
	case !others && may.owed != nil && (may.owed.Filter == "" || !to.keeps(setting{filter: may.owed.Filter}.names())):
		wrong("F2: the events of %+v are to be forwarded", *may.owed)
	}
}

// demand is what the filter of a workspace may have to have, by what a replica may know of its policies.
type demand struct {
	// plain: no policy says Forward; end: besides, one says Replace, and it was Forward.
	plain, end bool
	// all: somebody's events are forwarded whose filter was empty.
	all bool
	// owed is to whom events go on by all that may be known; nil: nobody for sure.
	owed    *record
	unclear bool
	// replaces and forwarded are what end is about.
	replaces, forwarded bool
}

// add adds what followed from the policies as they were then.
func (d *demand) add(then snapshot, workspace string) {
	forwards, replaces := says(then.policies, workspace)
	d.plain = d.plain || !forwards
	d.replaces = d.replaces || replaces && !forwards
	records := recordsIn(then.policies, workspace)
	d.unclear = d.unclear || !forwards || len(records) == 0
	for _, one := range records {
		d.forwarded = d.forwarded || one.Forward // to nobody, if no URL is recorded: the operator ends that, too
		if !one.Forward || one.URL == "" {
			d.unclear = true
			continue
		}
		d.all = d.all || one.Filter == ""
		if d.owed == nil {
			d.owed = &one
		}
		d.unclear = d.unclear || d.owed.URL != one.URL || d.owed.Filter != one.Filter
	}
	if d.end = d.replaces && d.forwarded; d.unclear {
		d.owed = nil
	}
}

// says is whether one of the policies that have a say in what a workspace calls says Forward, and whether one says Replace.
func says(policies []*v1alpha1.InactivityPolicy, workspace string) (forwards, replaces bool) {
	for _, policy := range policies {
		observed := policy.Status.Workspace
		if observed != nil && observed.SID == workspace && managesCallback(policy) && policy.DeletionTimestamp.IsZero() {
			forwards = forwards || conflictOf(policy) == v1alpha1.ConflictForward
			replaces = replaces || conflictOf(policy) == v1alpha1.ConflictReplace
		}
	}
	return forwards, replaces
}
