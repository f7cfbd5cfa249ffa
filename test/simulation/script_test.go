package simulation

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// script is a life cycle that is played step by step, with nothing going wrong but one crash.
type script struct {
	// crashAt is at which write of the operator's, to Twilio or to Kubernetes, the process crashes; 0: at none. late says that
	// the write takes effect.
	crashAt int
	late    bool
	// conflict is what the policies say of the callback of others at first.
	conflict v1alpha1.CallbackConflict

	// writes counts them.
	writes atomic.Int64
}

// crashesNow counts a write and says whether it is the one.
func (s *script) crashesNow() (crashes, late bool) {
	return int(s.writes.Add(1)) == s.crashAt, s.late
}

// settled is how long after a step of a script everything is as wanted: another process has been started, has become the
// leader, and has looked at all policies.
const settled = 30 * time.Minute

// TestACrashAtAnyWriteOfACallbacksLifeChangesNothing takes a callback over, edits, moves and deletes policies, with a person
// changing it by hand meanwhile, and crashes at each write in turn: just before it takes effect and just after.
func TestACrashAtAnyWriteOfACallbacksLifeChangesNothing(t *testing.T) {
	for _, first := range []v1alpha1.CallbackConflict{v1alpha1.ConflictReplace, v1alpha1.ConflictForward} {
		t.Run(string(first), func(t *testing.T) {
			uncut := &script{conflict: first}
			uncut.play(t)
			writes := int(uncut.writes.Load())
			if writes < 20 {
				t.Errorf("%d writes: hardly anything happened", writes)
			}
			for i := range 2 * writes {
				one := &script{conflict: first, crashAt: 1 + i/2, late: i%2 == 1}
				t.Run(fmt.Sprintf("write %d, late %t", one.crashAt, one.late), func(t *testing.T) {
					t.Parallel()
					one.play(t)
				})
			}
		})
	}
}

// play plays the script in a world of its own.
func (s *script) play(t *testing.T) {
	w := play{length: 24 * time.Hour, callbacksOnly: true, tells: true, script: s}.world(t)
	for _, problem := range w.problems {
		t.Error(problem)
	}
	if len(w.problems) > 0 {
		t.Log("\n" + strings.Join(w.lines, "\n"))
	}
	if crashed := int(s.writes.Load()) >= s.crashAt; !crashed {
		t.Errorf("there was no write %d", s.crashAt)
	}
}

// follow plays the steps of a script, and checks after each of them that the workspaces call whom they are to call.
func (w *world) follow(s *script) {
	w.syncInterval = 10 * time.Minute
	one, other := w.workspaces[0], w.workspaces[1]
	north, south := policyName(0), policyName(1)
	policy := func(conflict v1alpha1.CallbackConflict, workspace v1alpha1.WorkspaceReference) v1alpha1.InactivityPolicySpec {
		return v1alpha1.InactivityPolicySpec{
			CredentialsSecretRef: v1alpha1.SecretReference{Name: secretName}, Workspace: workspace,
			Timeout: "15m", Message: "Goodbye.", Callback: &v1alpha1.Callback{OnConflict: conflict},
		}
	}
	second := v1alpha1.ConflictForward
	if s.conflict == second {
		second = v1alpha1.ConflictReplace
	}
	edit := func(name types.NamespacedName, edit func(*v1alpha1.InactivityPolicy)) func() {
		return func() { w.cluster.edit(name, edit) }
	}
	steps := []func(){
		func() { w.configure(one.sid, setting{othersURL + "/1", "task.created,task.canceled"}) },
		func() {
			w.cluster.create(north, policy(s.conflict, v1alpha1.WorkspaceReference{FriendlyName: one.name}))
		},
		func() { w.cluster.create(south, policy(s.conflict, v1alpha1.WorkspaceReference{SID: one.sid})) },
		func() { w.configure(one.sid, setting{othersURL + "/2", ""}) },
		edit(north, func(policy *v1alpha1.InactivityPolicy) { policy.Status = v1alpha1.InactivityPolicyStatus{} }),
		edit(north, func(policy *v1alpha1.InactivityPolicy) {
			policy.Spec.Workspace = v1alpha1.WorkspaceReference{SID: other.sid}
		}),
		edit(south, func(policy *v1alpha1.InactivityPolicy) { policy.Spec.Callback.OnConflict = second }),
		edit(north, func(policy *v1alpha1.InactivityPolicy) {
			policy.Spec.Suspend, policy.Spec.Workspace = true, v1alpha1.WorkspaceReference{SID: one.sid}
		}),
		edit(north, func(policy *v1alpha1.InactivityPolicy) { policy.Spec.Suspend = false }),
		func() { w.configure(one.sid, setting{othersURL + "/1", "task.created"}) },
		edit(south, func(policy *v1alpha1.InactivityPolicy) { policy.Spec.Callback.Mode = v1alpha1.CallbackDisabled }),
		edit(south, func(policy *v1alpha1.InactivityPolicy) { policy.Spec.Callback.Mode = v1alpha1.CallbackManaged }),
		func() { w.cluster.remove(north) },
		func() { w.configure(one.sid, setting{}) },
		func() { w.cluster.remove(south) },
	}
	w.startReplica()
	w.busy.Go(func() { w.elect(w.dice.roll("elections")) })
	for i, step := range steps {
		w.tell("step %d", i)
		step()
		time.Sleep(settled)
		w.checker.callbacksAreAsWanted()
	}
	w.checker.retired()
	w.ended.Store(true)
	w.end()
}
