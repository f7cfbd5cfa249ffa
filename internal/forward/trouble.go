package forward

import (
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// EventForwardFailing is the Kubernetes event that says that events of a workspace do not reach the other party.
const EventForwardFailing = "ForwardFailing"

// trouble is why an event could not be passed on, and what to do about it. Both are texts of the operator's own.
type trouble struct{ text, cure string }

const (
	cureStatus         = "see that endpoint's own log"
	cureAuthentication = "correct the user and password in the callback URL that the workspace had: see docs/callbacks.md"
	cureForbidden      = "let that endpoint verify signatures against the URL that the workspace called, as set in TaskRouter"
	cureRedirect       = "redirects are not followed: see docs/callbacks.md for how to change the recorded URL"
	cureReach          = "see that the operator's pods may reach it: DNS, egress rules, and whether it runs"
)

var (
	troubleFull        = trouble{"too many events wait for it", "see why it is slow, or set spec.callback.onConflict to Replace"}
	troubleLate        = trouble{"it did not take the task's earlier events in time", cureStatus}
	troubleLoop        = trouble{"the event has come through this operator before, or through too many", "let one operator alone manage the workspace's callback"}
	troubleAddress     = trouble{"its address is not an http or https URL", "see docs/callbacks.md for how to change the recorded URL"}
	troublePrivate     = trouble{"its name resolves to an address that is not public", "start the operator with --forward-to-private-addresses if that is meant"}
	troubleName        = trouble{"its name could not be resolved", cureReach}
	troubleCertificate = trouble{"its certificate does not verify", "renew the certificate, or correct its chain"}
	troubleTimeout     = trouble{"it did not answer in time", cureReach}
	troubleConnection  = trouble{"the connection to it failed", cureReach}
)

// troubles collects what goes wrong until it is told, for each workspace.
type troubles struct {
	// due is filled when there is something to tell.
	due chan struct{}

	mu         sync.Mutex
	workspaces map[string]*workspaceTrouble
}

// workspaceTrouble is what has gone wrong with a workspace's events.
type workspaceTrouble struct {
	policy corev1.ObjectReference
	host   string
	latest trouble
	// failures are the attempts that are followed by others, and lost the events that are not passed on, since the last
	// line; unwarned are those lost since the last warning.
	failures, lost, unwarned int
	// noted is when something last went wrong; line and warning are when that was last told, zero if never.
	noted, line, warning time.Time
}

// report is what is told of a workspace: in the log, as a Kubernetes event, or both.
type report struct {
	workspaceSID string
	workspaceTrouble
	inLog, asEvent bool
}

func newTroubles() *troubles {
	return &troubles{due: make(chan struct{}, 1), workspaces: map[string]*workspaceTrouble{}}
}

// failed notes an attempt that will be followed by another.
func (t *troubles) failed(workspaceSID string, policy corev1.ObjectReference, host string, cause trouble) {
	t.note(workspaceSID, policy, host, cause, false)
}

// lost notes an event that will not be passed on.
func (t *troubles) lost(workspaceSID string, policy corev1.ObjectReference, host string, cause trouble) {
	t.note(workspaceSID, policy, host, cause, true)
}

func (t *troubles) note(workspaceSID string, policy corev1.ObjectReference, host string, cause trouble, lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	known, ok := t.workspaces[workspaceSID]
	if !ok {
		if len(t.workspaces) >= maxTroubles {
			t.forget(now)
		}
		if len(t.workspaces) >= maxTroubles {
			return // counted all the same
		}
		known = &workspaceTrouble{}
		t.workspaces[workspaceSID] = known
	}
	known.policy, known.host, known.latest, known.noted = policy, host, cause, now
	if lost {
		known.lost++
		known.unwarned++
	} else {
		known.failures++
	}
	if !known.lineDue(now) && !known.warningDue(now) {
		return
	}
	select {
	case t.due <- struct{}{}:
	default: // it will be found with the others
	}
}

// forget drops those of which nothing has gone wrong for a while. The caller holds mu.
func (t *troubles) forget(now time.Time) {
	for workspaceSID, known := range t.workspaces {
		if now.Sub(known.noted) > warningInterval {
			delete(t.workspaces, workspaceSID)
		}
	}
}

func (w *workspaceTrouble) lineDue(now time.Time) bool {
	return w.failures+w.lost > 0 && now.Sub(w.line) >= lineInterval
}

func (w *workspaceTrouble) warningDue(now time.Time) bool {
	return w.unwarned > 0 && now.Sub(w.warning) >= warningInterval
}

// take returns what is due, by workspace, and counts anew from there.
func (t *troubles) take() []report {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	var reports []report
	for workspaceSID, known := range t.workspaces {
		line, warn := known.lineDue(now), known.warningDue(now)
		if !line && !warn {
			continue
		}
		reports = append(reports, report{workspaceSID: workspaceSID, workspaceTrouble: *known, inLog: line, asEvent: warn})
		if line {
			known.failures, known.lost, known.line = 0, 0, now
		}
		if warn {
			known.unwarned, known.warning = 0, now
		}
	}
	slices.SortFunc(reports, func(a, b report) int { return strings.Compare(a.workspaceSID, b.workspaceSID) })
	return reports
}

// tell writes a line for each workspace whose events do not get through, and records an event when some are lost.
func (f *Forwarder) tell() {
	for _, is := range f.troubles.take() {
		if is.inLog {
			f.options.Logger.Info("Passing events on fails", "workspace", is.workspaceSID, "to", is.host, "cause", is.latest.text,
				"failedAttempts", is.failures, "lostEvents", is.lost)
		}
		if is.asEvent {
			f.options.Recorder.Eventf(&is.policy, nil, corev1.EventTypeWarning, EventForwardFailing, "ForwardEvents",
				"Workspace %s: %d events were not passed on to %s: %s; %s",
				is.workspaceSID, is.unwarned, is.host, is.latest.text, is.latest.cure)
		}
	}
}
