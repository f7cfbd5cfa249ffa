package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// namedAtMost bounds how many workspaces or queues a message names, namedPolicies how many policies: those have to be
	// seen all, up to what a condition can hold.
	namedAtMost   = 5
	namedPolicies = 50
)

// scope is what the phases of one reconcile have found out, each for the ones after it and for the status.
type scope struct {
	policy *v1alpha1.InactivityPolicy
	// client and clock are set by resolveCredentials.
	client TwilioClient
	clock  *twilio.ServerTime
	// accountSID owns the credentials.
	accountSID string
	// workspace is set by resolveWorkspace.
	workspace *twilio.Workspace
	// callback is set by configureCallback.
	callback callbackState
	// overlap is set by findOverlap.
	overlap overlap
	// unknownQueues is set by checkTaskQueues: what to mend in the selector; empty if nothing.
	unknownQueues string
	// degraded says that Twilio has failed for long, although the policy itself has no problem; nil if not.
	degraded *problem
}

// overlap is how a policy stands to the others of its workspace.
type overlap struct {
	// coveredBy is the policy that takes precedence for all that this one selects, and why; empty: there is none.
	coveredBy string
	// precededBy and precedes are the policies that may select the same conversations, each with the reason for the order.
	precededBy, precedes []string
	// revision stands for what the policy's clocks and its set of conversations depend on.
	revision string
}

// callbackState is what became of the workspace's callback.
type callbackState struct {
	// url is the callback URL that the operator has set; empty when it has set none.
	url     string
	reason  string
	message string
}

// phase does one part of a reconcile. A problem ends the reconcile.
type phase func(context.Context, *scope) *problem

// bringIntoForce runs the phases. Of a policy that is suspended or invalid it only finds out what it selects.
func (r *InactivityPolicyReconciler) bringIntoForce(ctx context.Context, policy *v1alpha1.InactivityPolicy) (*scope, *problem) {
	scope := &scope{policy: policy, clock: &twilio.ServerTime{}}
	ctx = twilio.WithServerTime(ctx, scope.clock)
	invalid := r.checkSpec(scope)
	if policy.Spec.Suspend || invalid != nil {
		r.identify(ctx, scope)
		if policy.Spec.Suspend {
			invalid = nil
		}
		return scope, invalid
	}
	for _, phase := range []phase{r.resolveCredentials, r.resolveWorkspace, r.publishWorkspace, r.findOverlap, r.configureCallback} {
		if problem := phase(ctx, scope); problem != nil {
			if scope.overlap.revision == "" && policy.Spec.Workspace.Names(policy.Status.Workspace) {
				_ = r.findOverlap(ctx, scope) // the first problem is the one to mend
			}
			return scope, problem
		}
	}
	r.checkTaskQueues(ctx, scope)
	return scope, nil
}

// identify makes known what a policy selects that is not brought into force: until somebody deletes it, nobody else may
// act on that. What stands in the way does not count, because nothing is wanted of the policy now.
func (r *InactivityPolicyReconciler) identify(ctx context.Context, scope *scope) {
	phases := []phase{r.findOverlap}
	if !scope.policy.Spec.Workspace.Names(scope.policy.Status.Workspace) {
		phases = []phase{r.resolveCredentials, r.resolveWorkspace, r.publishWorkspace, r.findOverlap}
	}
	for _, phase := range phases {
		if problem := phase(ctx, scope); problem != nil {
			log.FromContext(ctx).V(1).Info("Finding out what the policy selects failed", "reason", problem.message)
			return
		}
	}
}

// checkSpec judges what the schema could not.
func (r *InactivityPolicyReconciler) checkSpec(scope *scope) *problem {
	if _, err := r.Compiled.compile(scope.policy); err != nil {
		return &problem{class: terminal, reason: v1alpha1.ReasonInvalidSpec, cause: err,
			message: shortened(strings.ReplaceAll(err.Error(), "\n", "; "), noteLength)}
	}
	if scope.policy.ManagesCallback() && r.PublicURL == nil {
		return &problem{class: terminal, reason: v1alpha1.ReasonInvalidSpec,
			message: "The operator has no public address for callbacks: start it with --public-url, or set spec.callback.mode to Disabled to work by sweep alone"}
	}
	return nil
}

// resolveCredentials reads the Secret.
func (r *InactivityPolicyReconciler) resolveCredentials(ctx context.Context, scope *scope) *problem {
	name := types.NamespacedName{Namespace: scope.policy.Namespace, Name: scope.policy.Spec.CredentialsSecretRef.Name}
	found, err := r.Credentials.Refresh(ctx, name)
	var unusable *credentials.Error
	switch {
	case errors.As(err, &unusable):
		return &problem{class: waiting, reason: unusable.Reason, message: sentence(unusable), cause: err}
	case err != nil:
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: fmt.Sprintf("Secret %s could not be read; it is tried again", name)}
	}
	twilioClient, err := r.Twilio(found.Twilio)
	if err != nil {
		return &problem{class: waiting, reason: v1alpha1.ReasonSecretInvalid, message: sentence(err), cause: err}
	}
	scope.client, scope.accountSID = twilioClient, found.AccountSID()
	return nil
}

// resolveWorkspace finds the workspace by its SID or by its name.
func (r *InactivityPolicyReconciler) resolveWorkspace(ctx context.Context, scope *scope) *problem {
	wanted := scope.policy.Spec.Workspace
	if wanted.SID != "" {
		found, err := scope.client.GetWorkspace(ctx, wanted.SID)
		switch {
		case twilio.IsNotFound(err):
			return &problem{class: terminal, reason: v1alpha1.ReasonWorkspaceNotFound, cause: err,
				message: fmt.Sprintf("Account %s has no workspace %s: check spec.workspace.sid, and that the Secret is of the right account", scope.accountSID, wanted.SID)}
		case err != nil:
			return twilioProblem(scope.policy, "reading workspace "+wanted.SID, err)
		}
		scope.workspace = &found
		return nil
	}
	all, err := scope.client.ListWorkspaces(ctx, wanted.FriendlyName)
	if err != nil {
		return twilioProblem(scope.policy, "listing the workspaces", err)
	}
	named := slices.DeleteFunc(all, func(workspace twilio.Workspace) bool { return workspace.FriendlyName != wanted.FriendlyName })
	switch len(named) {
	case 1:
		scope.workspace = &named[0]
		return nil
	case 0:
		return r.unknownName(ctx, scope)
	}
	sids := make([]string, 0, len(named))
	for _, workspace := range named {
		sids = append(sids, workspace.SID)
	}
	slices.Sort(sids)
	return &problem{class: terminal, reason: v1alpha1.ReasonWorkspaceAmbiguous, cause: errors.New("ambiguous workspace name"),
		message: fmt.Sprintf("%d workspaces are named %q: set spec.workspace.sid to one of %s instead of friendlyName", len(named), wanted.FriendlyName, listed(sids))}
}

// publishWorkspace makes the workspace known to the receivers of all replicas before Twilio is told to call them, so that
// the first events are not answered as those of an unknown workspace.
func (r *InactivityPolicyReconciler) publishWorkspace(ctx context.Context, scope *scope) *problem {
	err := r.patchStatus(ctx, scope.policy, func(policy *v1alpha1.InactivityPolicy) { observeWorkspace(policy, scope) })
	if err != nil {
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: "The workspace could not be written into the status; it is tried again"}
	}
	return nil
}

// findOverlap finds out which other policies of the workspace may select the same conversations, and whose they are then.
func (r *InactivityPolicyReconciler) findOverlap(ctx context.Context, scope *scope) *problem {
	others, err := r.siblings(ctx, scope.policy, scope.policy.Status.Workspace.SID)
	if err != nil {
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: "The other policies of the workspace could not be listed; it is tried again"}
	}
	self, _ := r.Compiled.compile(scope.policy) // of an invalid one what could be read, which it owns
	shared := r.Compiled.share(others)
	for i, other := range shared.policies {
		relation := self.Relate(other)
		named := fmt.Sprintf("%s (%s)", other.Name, relation.Why+shared.idle(i))
		switch {
		case !relation.Overlaps:
		case relation.Precedes:
			scope.overlap.precededBy = append(scope.overlap.precededBy, named)
			if relation.Covers && scope.overlap.coveredBy == "" {
				scope.overlap.coveredBy = named
			}
		default:
			scope.overlap.precedes = append(scope.overlap.precedes, named)
		}
	}
	scope.overlap.revision = self.Revision(shared.policies)
	return nil
}

// checkTaskQueues finds out which task queues of the selector the workspace does not have. That is no problem, because a
// queue may be made later, but a misspelt one selects nothing for ever. Credentials that may not list queues get no hint.
func (r *InactivityPolicyReconciler) checkTaskQueues(ctx context.Context, scope *scope) {
	if scope.policy.Spec.Selector == nil || len(scope.policy.Spec.Selector.TaskQueues) == 0 {
		return
	}
	queues, err := scope.client.ListTaskQueues(ctx, scope.workspace.SID)
	if err != nil {
		log.FromContext(ctx).V(1).Info("Listing the task queues failed", "workspace", scope.workspace.SID, "reason", err.Error())
		return
	}
	var unknown, names []string
	for _, queue := range queues {
		names = append(names, fmt.Sprintf("%q", queue.FriendlyName))
	}
	for _, wanted := range scope.policy.Spec.Selector.TaskQueues {
		if !slices.ContainsFunc(queues, func(queue twilio.TaskQueue) bool { return wanted == queue.FriendlyName || wanted == queue.SID }) {
			unknown = append(unknown, fmt.Sprintf("%q", wanted))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(names)
		scope.unknownQueues = fmt.Sprintf("spec.selector.taskQueues names %s, which workspace %s does not have; it has %s",
			listed(unknown), scope.workspace.SID, listed(names))
	}
}

// unknownName says which names there are, because a misspelt one is the likeliest cause.
func (r *InactivityPolicyReconciler) unknownName(ctx context.Context, scope *scope) *problem {
	all, err := scope.client.ListWorkspaces(ctx, "")
	if err != nil {
		return twilioProblem(scope.policy, "listing the workspaces", err)
	}
	names := make([]string, 0, len(all))
	for _, workspace := range all {
		names = append(names, fmt.Sprintf("%q", workspace.FriendlyName))
	}
	slices.Sort(names)
	has := "it has none"
	if len(names) > 0 {
		has = "it has " + listed(names)
	}
	return &problem{class: terminal, reason: v1alpha1.ReasonWorkspaceNotFound, cause: errors.New("unknown workspace name"),
		message: fmt.Sprintf("Account %s has no workspace named %q; %s: correct spec.workspace.friendlyName", scope.accountSID, scope.policy.Spec.Workspace.FriendlyName, has)}
}

// listed joins the first few items.
func listed(items []string) string { return joined(items, namedAtMost) }

// joined joins items, up to a number.
func joined(items []string, most int) string {
	if len(items) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
	}
	return strings.Join(items, ", ")
}

// now is Twilio's clock as of the latest answer, or the replica's when Twilio told no time.
func (r *InactivityPolicyReconciler) now(scope *scope) time.Time {
	if now, known := scope.clock.Latest(); known {
		return now
	}
	return r.Clock.Now()
}

// sentence makes an error's text one for people: with a capital letter.
func sentence(err error) string {
	text := err.Error()
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
