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

// authenticate verifies that the callback was signed by the account that the workspace belongs to and is about that
// workspace. It returns nil if so.
func (h *handler) authenticate(r *http.Request, to endpoint, workspaceSID string, policies []v1alpha1.InactivityPolicy, form url.Values) *answer {
	given := r.Header.Values(signature.Header)
	if len(given) == 0 {
		return h.forbid(metrics.CauseMissing, "there is no signature")
	}
	if len(given) > 1 {
		return h.forbid(metrics.CauseMismatch, "there are several signatures")
	}

	ring := h.keyring(workspaceSID, policies)
	verified := signature.Verify(ring.tokens, h.signedURL(r), form, given[0])
	if !slices.Contains(verified, true) {
		// The account's token may have been rotated since the Secrets were read.
		for _, secret := range ring.secrets {
			h.secrets.RefreshSoon(secret)
		}
		if ring.incomplete != "" {
			return refusal(metrics.OutcomeUnavailable, ring.incomplete)
		}
		return h.forbid(metrics.CauseMismatch, "the signature does not verify")
	}

	accountSID, _ := single(form, "AccountSid")
	if !slices.ContainsFunc(ring.accountsOf(verified), func(account string) bool { return account == accountSID }) {
		return h.forbid(metrics.CauseAccount, "the payload is of another account than the signature")
	}
	if to.namesWorkspace {
		if named, _ := single(form, "WorkspaceSid"); named != workspaceSID {
			return h.forbid(metrics.CauseWorkspace, "the payload is of another workspace than the path")
		}
	}
	return nil
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

// accountsOf returns the accounts whose tokens verified.
func (k *keyring) accountsOf(verified []bool) []string {
	var accounts []string
	for i, ok := range verified {
		if ok {
			accounts = append(accounts, k.accounts[i])
		}
	}
	return accounts
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
