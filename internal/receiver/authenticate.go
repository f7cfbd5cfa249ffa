package receiver

import (
	"net/http"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// keyring is what the callbacks of a workspace are verified with.
type keyring struct {
	// tokens may have signed the callback; accounts, of the same length, says whose each of them is.
	tokens, accounts []string
	// secrets are where the tokens come from.
	secrets []types.NamespacedName
	// incomplete says why the right token may not be among them. Empty: there is no reason.
	incomplete string
}

// signer is who has signed a callback: an account, with one of its tokens.
type signer struct{ account, token string }

// authenticate verifies that the callback was signed by the account that the workspace belongs to and is about that
// workspace. If so it returns the signer, otherwise the refusal.
func (h *handler) authenticate(r *http.Request, to endpoint, workspaceSID string, policies []v1alpha1.InactivityPolicy, form url.Values) (signer, *answer) {
	given := r.Header.Values(signature.Header)
	if len(given) == 0 {
		return signer{}, h.forbid(metrics.CauseMissing, "there is no signature")
	}
	if len(given) > 1 {
		return signer{}, h.forbid(metrics.CauseMismatch, "there are several signatures")
	}

	ring := h.keyring(workspaceSID, policies)
	verified := signature.Verify(ring.tokens, h.signedURL(r), form, given[0])
	if !slices.Contains(verified, true) {
		// The account's token may have been rotated since the Secrets were read.
		for _, secret := range ring.secrets {
			h.secrets.RefreshSoon(secret)
		}
		if ring.incomplete != "" {
			return signer{}, refusal(metrics.OutcomeUnavailable, ring.incomplete)
		}
		return signer{}, h.forbid(metrics.CauseMismatch, "the signature does not verify")
	}

	accountSID, _ := single(form, "AccountSid")
	by, ok := ring.signer(verified, accountSID)
	if !ok {
		return signer{}, h.forbid(metrics.CauseAccount, "the payload is of another account than the signature")
	}
	if to.namesWorkspace {
		if named, _ := single(form, "WorkspaceSid"); named != workspaceSID {
			return signer{}, h.forbid(metrics.CauseWorkspace, "the payload is of another workspace than the path")
		}
	}
	return by, nil
}

func (h *handler) forbid(cause, text string) *answer {
	h.metrics.SignatureFailure(cause)
	return refusal(metrics.OutcomeForbidden, text)
}

// signedURL is the address as Twilio knows it. The Host header has no part in it: it is the proxy's business, and may be
// anything. The path begins with that of the public URL, or the request would not have been routed here.
func (h *handler) signedURL(r *http.Request) string {
	signed := h.base + r.URL.EscapedPath()[len(h.prefix):]
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		signed += "?" + r.URL.RawQuery
	}
	return signed
}

// keyring collects the tokens of the workspace's policies. Anybody who may write a policy can name any workspace in it,
// so a token counts only where the policy's status says that the account of that token owns the workspace: status is
// written by the operator alone, from Twilio's own answer.
func (h *handler) keyring(workspaceSID string, policies []v1alpha1.InactivityPolicy) keyring {
	var ring keyring
	for i := range policies {
		secret := types.NamespacedName{Namespace: policies[i].Namespace, Name: policies[i].Spec.CredentialsSecretRef.Name}
		if !slices.Contains(ring.secrets, secret) {
			ring.secrets = append(ring.secrets, secret)
		}
		owner := owner(&policies[i], workspaceSID)
		if owner == "" {
			ring.incomplete = "a policy of the workspace has not been resolved yet"
			continue
		}
		credentials, ok := h.secrets.Get(secret)
		if !ok || credentials.AccountSID() != owner {
			ring.incomplete = "the Secret of a policy has not been read yet or gives no credentials of the workspace's account"
			continue
		}
		for _, token := range credentials.SigningTokens() {
			ring.add(owner, token)
		}
	}
	return ring
}

func (k *keyring) add(account, token string) {
	for i := range k.tokens {
		if k.tokens[i] == token && k.accounts[i] == account {
			return
		}
	}
	if len(k.tokens) == maxTokens {
		k.incomplete = "the Secrets of the workspace's policies hold too many different tokens"
		return
	}
	k.tokens = append(k.tokens, token)
	k.accounts = append(k.accounts, account)
}

// signer returns the account as signer, and false if none of the tokens that verified is its own.
func (k *keyring) signer(verified []bool, account string) (signer, bool) {
	for i, ok := range verified {
		if ok && k.accounts[i] == account {
			return signer{account: account, token: k.tokens[i]}, true
		}
	}
	return signer{}, false
}

// owner returns the account that owns the workspace according to the policy's status, and nothing if the policy has not
// been resolved to that workspace.
func owner(policy *v1alpha1.InactivityPolicy, workspaceSID string) string {
	if observed := policy.Status.Workspace; observed != nil && observed.SID == workspaceSID {
		return observed.AccountSID
	}
	return ""
}

// acting reports whether a policy of the workspace acts on its conversations: one that is neither suspended nor being
// deleted.
func acting(workspaceSID string, policies []v1alpha1.InactivityPolicy) bool {
	return slices.ContainsFunc(policies, func(policy v1alpha1.InactivityPolicy) bool {
		return owner(&policy, workspaceSID) != "" && !policy.Spec.Suspend && policy.DeletionTimestamp.IsZero()
	})
}
