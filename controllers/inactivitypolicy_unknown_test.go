package controllers_test

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

func TestARecordThatGoesOutOfDateWhileItsPolicyIsUnknownDoesNotComeBack(t *testing.T) {
	there := slot{"https://first.example.com/", "task.created"}
	for conflict, ready := range map[v1alpha1.CallbackConflict]string{
		v1alpha1.ConflictReplace: "True/Succeeded", v1alpha1.ConflictForward: "True/Succeeded", v1alpha1.ConflictRefuse: "False/CallbackInUse",
	} {
		for what, recorded := range map[string]slot{
			"another URL": {"https://long.ago.example.com/", there.Filter}, "another filter": {there.URL, "task.created,task.completed"},
		} {
			t.Run(string(conflict)+", "+what, func(t *testing.T) {
				w := newPolicyWorld(t)
				sid := w.twilio.WorkspaceSID()
				w.setCallback(sid, there)
				unknown := w.policy("unknown", func(spec *v1alpha1.InactivityPolicySpec) { spec.CredentialsSecretRef.Name = "to-come" })
				w.create(unknown)
				// As a backup restores it: with its record, and without a status.
				w.setRecord(unknown, fmt.Sprintf(`{"workspaceSid":%q,"url":%q,"filter":%q,"applied":"https://us.example.com/"}`, sid, recorded.URL, recorded.Filter))
				w.startOperator()
				known := w.policy("known", func(spec *v1alpha1.InactivityPolicySpec) { spec.Callback = &v1alpha1.Callback{OnConflict: conflict} })
				w.createSecret()
				w.create(known)
				w.eventuallyCondition(known, v1alpha1.ConditionReady, ready)
				w.Expect(w.record(unknown)).To(gomega.BeEmpty())
			})
		}
	}
}
