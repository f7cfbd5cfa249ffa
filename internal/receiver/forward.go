package receiver

import (
	"cmp"
	"net/http"
	"net/url"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/forward"
)

// forward hands an authentic event to the forwarder if somebody else got such events before. Whether a policy acts does
// not matter: as long as the operator holds the callback, it owes the other party its events.
func (h *handler) forward(header http.Header, by signer, workspaceSID string, policies []v1alpha1.InactivityPolicy, body []byte, form url.Values) {
	record, policy := h.record(by.account, workspaceSID, policies)
	if !record.Forwards() {
		return
	}
	if kind, _ := eventType(form); !record.Passes(kind) {
		return
	}
	h.forwarder.Forward(forward.Event{
		WorkspaceSID: workspaceSID,
		Policy: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "InactivityPolicy",
			Namespace: policy.Namespace, Name: policy.Name, UID: policy.UID,
		},
		Target: record.URL,
		Token:  by.token,
		Header: header,
		Body:   body,
		Form:   form,
	})
}

// record returns what the workspace's callback was before, and the policy that says so. Anybody who may write a policy can
// write the annotation, so it is believed only of policies whose status says that the account which signed owns the
// workspace, and of these the oldest one's: a newcomer cannot have the events sent elsewhere. A guess counts last.
func (h *handler) record(account, workspaceSID string, policies []v1alpha1.InactivityPolicy) (*callback.Previous, *v1alpha1.InactivityPolicy) {
	var (
		best *callback.Previous
		of   *v1alpha1.InactivityPolicy
	)
	for i := range policies {
		policy := &policies[i]
		text, found := policy.Annotations[v1alpha1.AnnotationPreviousCallback]
		if !found || owner(policy, workspaceSID) != account {
			continue
		}
		record := h.records.read(text)
		if record == nil || record.WorkspaceSID != workspaceSID || record.AccountSID != "" && record.AccountSID != account {
			continue
		}
		if best == nil || best.Guessed && !record.Guessed || best.Guessed == record.Guessed && older(policy, of) {
			best, of = record, policy
		}
	}
	return best, of
}

// older reports whether a policy was made before another; the same of two replicas.
func older(policy, than *v1alpha1.InactivityPolicy) bool {
	return cmp.Or(
		policy.CreationTimestamp.Compare(than.CreationTimestamp.Time),
		cmp.Compare(policy.Namespace, than.Namespace),
		cmp.Compare(policy.Name, than.Name),
	) < 0
}

// records keeps records decoded, because every event needs one and they hardly ever change.
type records struct {
	mu      sync.RWMutex
	decoded map[string]*callback.Previous
}

func newRecords() *records { return &records{decoded: map[string]*callback.Previous{}} }

// read returns the record in an annotation's text, nil if it is none. It must not be changed.
func (r *records) read(text string) *callback.Previous {
	r.mu.RLock()
	record, known := r.decoded[text]
	r.mu.RUnlock()
	if known {
		return record
	}
	record = callback.ParsePrevious(text)
	if len(text) > maxRecordLength {
		return record
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.decoded) >= maxRecords {
		clear(r.decoded)
	}
	r.decoded[text] = record
	return record
}
