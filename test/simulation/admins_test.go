package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// drawDialect draws how Twilio is to be read where its documentation is silent.
func drawDialect(r *rand.Rand) twiliosim.Dialect {
	odd := func() bool { return chance(r, 0.35) }
	return twiliosim.Dialect{
		RESTMessageKeepsTimer: odd(), RESTMessageKeepsInactive: odd(), ResentTimerKeepsRunning: odd(),
		ClosedChannelKeepsConversation: odd(), ClosedConversationEndsChannel: odd(),
		EmptyFilterMeansNoEvents: odd(), EventsAreNotRetried: odd(), StaleIfMatchIsIgnored: chance(r, 0.1),
		TaskListsHaveNullAttributes: odd(), TaskIndexLag: oneOf(r, 0, 0, time.Second, 5*time.Second), AssignedTaskCountsFromCreation: odd(),
		OutsideWindowIsRefused: odd(), UnusableVariablesAreAccepted: odd(),
	}
}

// makePolicies makes those that there are at the beginning.
func (w *world) makePolicies(draw *rand.Rand) {
	for i := range 1 + draw.IntN(3) {
		w.cluster.create(policyName(i), w.drawSpec(draw, i))
	}
}

// administer edits, suspends, deletes and makes policies now and then.
func (w *world) administer(draw *rand.Rand) {
	every := oneOf(draw, 0, time.Hour, 4*time.Hour, 10*time.Hour)
	if w.callbacksOnly {
		every = oneOf(draw, 2*time.Minute, 10*time.Minute, time.Hour)
	}
	for i := 0; every > 0; i++ {
		time.Sleep(between(draw, time.Second, every))
		if !time.Now().Before(w.calm.Add(-calmAdmins)) {
			return
		}
		if one := fmt.Sprintf("edit %d", i); w.plays(one) {
			w.editSomething(w.dice.roll(one))
		}
	}
}

func policyName(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: teams[i%len(teams)], Name: fmt.Sprintf("policy-%d", i)}
}

// editSomething is one act of an admin.
func (w *world) editSomething(draw *rand.Rand) {
	w.tally.count("edits of policies", 1)
	policies := 3
	if w.callbacksOnly {
		policies = 6
	}
	i := draw.IntN(policies)
	name := policyName(i)
	existing := false
	for _, policy := range w.cluster.all() {
		existing = existing || policy.Name == name.Name
	}
	if !existing {
		w.tell("an admin makes %s", name.Name)
		w.cluster.create(name, w.drawSpec(draw, i))
		return
	}
	what := oneOf(draw, "timeout", "timeout", "warnings", "suspend", "suspend", "mode", "waitingOn", "anchor", "priority", "selector", "delete", "existing",
		"message", "action", "wipe the status", "hours", "unanswered", "limits", "callback", "workspace", "author")
	if w.callbacksOnly {
		what = oneOf(draw, "delete", "delete", "suspend", "mode", "callback", "callback", "workspace", "wipe the status", "timeout",
			"suspend and move", "suspend and move")
	}
	fresh := w.drawSpec(draw, i)
	w.tell("an admin edits %s: %s", name.Name, what)
	if what == "delete" {
		w.cluster.remove(name)
		return
	}
	w.cluster.edit(name, func(policy *v1alpha1.InactivityPolicy) {
		spec := &policy.Spec
		switch what {
		case "timeout":
			spec.Timeout, spec.Warnings = fresh.Timeout, fresh.Warnings
		case "warnings":
			spec.Warnings = warningsFor(draw, spec.Timeout)
		case "suspend":
			spec.Suspend = !spec.Suspend
		case "mode":
			spec.Mode = oneOf(draw, v1alpha1.ModeEnforce, v1alpha1.ModeObserve)
		case "waitingOn":
			spec.WaitingOn = fresh.WaitingOn
		case "anchor":
			spec.Anchor = fresh.Anchor
		case "priority":
			spec.Priority = fresh.Priority
		case "selector":
			spec.Selector = fresh.Selector
		case "existing":
			spec.Existing = fresh.Existing
		case "message":
			spec.Message = oneOf(draw, "", "Goodbye.", "Your session has timed out.")
		case "author":
			spec.Author = fresh.Author
		case "action":
			spec.OnTimeout = fresh.OnTimeout
		case "hours":
			spec.Hours = fresh.Hours
		case "unanswered":
			spec.Unanswered = fresh.Unanswered
		case "limits":
			spec.Limits = fresh.Limits
		case "callback":
			spec.Callback = fresh.Callback
		case "workspace":
			spec.Workspace = fresh.Workspace
		case "suspend and move":
			spec.Suspend, spec.Workspace = true, v1alpha1.WorkspaceReference{SID: oneOf(draw, w.workspaces...).sid}
		case "wipe the status":
			policy.Status = v1alpha1.InactivityPolicyStatus{}
		}
		if spec.OnTimeout != nil && spec.OnTimeout.Action == v1alpha1.ActionNotify && spec.Message == "" {
			spec.Message = "Goodbye."
		}
	})
}

// timeouts are those of the policies; the longest is well below the time that is left at the end.
var timeouts = []v1alpha1.Duration{"2m", "5m", "15m", "30m", "1h"}

const longestTimeout = time.Hour

func (w *world) drawSpec(draw *rand.Rand, i int) v1alpha1.InactivityPolicySpec {
	workspace := v1alpha1.WorkspaceReference{FriendlyName: w.workspaces[0].name}
	if chosen := oneOf(draw, w.workspaces...); chance(draw, 0.3) {
		workspace = v1alpha1.WorkspaceReference{SID: chosen.sid}
	}
	spec := v1alpha1.InactivityPolicySpec{
		CredentialsSecretRef: v1alpha1.SecretReference{Name: secretName},
		Workspace:            workspace,
		Timeout:              oneOf(draw, timeouts...),
		Message:              oneOf(draw, "Your session has timed out.", "Your session has timed out.", ""),
		Hold:                 &v1alpha1.Hold{Attribute: holdAttribute},
		WaitingOn:            oneOf(draw, "", "", v1alpha1.WaitingOnCustomer),
		Anchor:               oneOf(draw, "", "", v1alpha1.AnchorFirstUnanswered),
		Existing:             oneOf(draw, "", "", v1alpha1.ExistingGrace, v1alpha1.ExistingImmediate),
		Mode:                 oneOf(draw, "", "", "", v1alpha1.ModeObserve),
		Priority:             draw.Int32N(3),
		Suspend:              chance(draw, 0.05),
		Author:               oneOf(draw, "", "", "Support"),
	}
	spec.Warnings = warningsFor(draw, spec.Timeout)
	if i > 0 {
		spec.Selector = &v1alpha1.Selector{}
		if chance(draw, 0.7) {
			spec.Selector.Channels = []string{oneOf(draw, "sms", "whatsapp", "web")}
		} else {
			spec.Selector.TaskQueues = []string{oneOf(draw, "Sales", "Everyone")}
		}
	}
	if chance(draw, 0.3) {
		spec.OnTimeout = &v1alpha1.OnTimeout{Action: oneOf(draw, v1alpha1.ActionWrapUp, v1alpha1.ActionClose, v1alpha1.ActionNotify)}
		if spec.OnTimeout.Action == v1alpha1.ActionNotify {
			spec.Message = "Are you still there?"
		}
	}
	spec.Callback = drawCallback(draw)
	spec.Hours = w.drawHours(draw)
	if chance(draw, 0.3) {
		spec.Unanswered = &v1alpha1.Unanswered{After: "1m", Message: "Sorry to keep you waiting."}
	}
	if chance(draw, 0.25) {
		spec.Limits = &v1alpha1.Limits{ClosesPerMinute: oneOf[int32](draw, 1, 1, 5)}
	}
	return spec
}

func drawCallback(draw *rand.Rand) *v1alpha1.Callback {
	const replace, forward = v1alpha1.ConflictReplace, v1alpha1.ConflictForward
	switch conflict := oneOf(draw, "", "", "disabled", "disabled", replace, forward, replace, forward, replace, replace); conflict {
	case "":
		return nil
	case "disabled":
		return &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
	default:
		return &v1alpha1.Callback{OnConflict: conflict}
	}
}

func warningsFor(draw *rand.Rand, timeout v1alpha1.Duration) []v1alpha1.Warning {
	length, err := timeout.Parse()
	if err != nil {
		panic(err)
	}
	var warnings []v1alpha1.Warning
	for _, before := range []v1alpha1.Duration{"10m", "3m", "1m"} {
		if earlier, err := before.Parse(); err == nil && earlier < length && chance(draw, 0.3) {
			warnings = append(warnings, v1alpha1.Warning{Before: before, Message: v1alpha1.Text("We close this chat in " + before)})
		}
	}
	return warnings
}
