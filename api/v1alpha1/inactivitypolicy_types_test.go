package v1alpha1_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

func TestAdmission(t *testing.T) {
	try(t, map[string]admission{
		"three fields and the credentials are a policy":    {plain, ""},
		"a workspace can be named by SID":                  {with(plain, "workspace: {sid: "+sid+"}"), ""},
		"a workspace's name is at most 256 characters":     {with(plain, "workspace: {friendlyName: "+strings.Repeat("w", 256)+"}"), ""},
		"a Secret's name is at most 253 characters":        {with(plain, "credentialsSecretRef: {name: "+strings.Repeat("s", 253)+"}"), ""},
		"one minute is the shortest timeout":               {with(plain, "timeout: 1m"), ""},
		"sixty seconds are one minute":                     {with(plain, "timeout: 60s"), ""},
		"sixty thousand milliseconds are one minute":       {with(plain, "timeout: 60000ms"), ""},
		"a day is the longest timeout":                     {with(plain, "timeout: 24h"), ""},
		"hours and minutes can be mixed":                   {with(plain, "timeout: 1h30m"), ""},
		"an author is at most 256 characters":              {plain + "author: " + strings.Repeat("a", 256) + "\n", ""},
		"a reason is at most 128 characters":               {plain + "onTimeout: {reason: " + strings.Repeat("r", 128) + "}\n", ""},
		"Close is an action":                               {plain + "onTimeout: {action: Close}\n", ""},
		"WrapUp is an action":                              {plain + "onTimeout: {action: WrapUp}\n", ""},
		"Notify is an action when there is a message":      {plain + "onTimeout: {action: Notify}\n", ""},
		"Managed is a callback mode, Refuse an onConflict": {plain + "callback: {mode: Managed, onConflict: Refuse}\n", ""},
		"Disabled is a callback mode, Replace an onConflict": {
			plain + "callback: {mode: Disabled, onConflict: Replace}\n", ""},
		"Forward is an onConflict": {plain + "callback: {onConflict: Forward}\n", ""},
		"objects can be given without their fields": {
			plain + "selector: {}\nonTimeout: {}\nreplyWindow: {}\nlimits: {}\ncallback: {}\ntranslations: {}\nwarnings: []\n", ""},
		"what was written before there were these fields is still accepted": {
			plain + "author: Support\nsuspend: true\nonTimeout: {action: WrapUp, reason: Idle}\ncallback: {mode: Disabled, onConflict: Replace}\n", ""},

		"a policy needs credentials":            {without(plain, "credentialsSecretRef"), "spec.credentialsSecretRef: Required value"},
		"a Secret is named":                     {with(plain, "credentialsSecretRef: {}"), "spec.credentialsSecretRef.name: Required value"},
		"a Secret's name is not empty":          {with(plain, `credentialsSecretRef: {name: ""}`), "spec.credentialsSecretRef.name in body should be at least 1 chars long"},
		"a Secret's name is bounded":            {with(plain, "credentialsSecretRef: {name: "+strings.Repeat("s", 254)+"}"), "spec.credentialsSecretRef.name: Too long"},
		"a policy needs a workspace":            {without(plain, "workspace"), "spec.workspace: Required value"},
		"a workspace is named":                  {with(plain, "workspace: {}"), "set exactly one of sid and friendlyName"},
		"a workspace is named in one way":       {with(plain, "workspace: {sid: "+sid+", friendlyName: Flex}"), "set exactly one of sid and friendlyName"},
		"a workspace's name is not empty":       {with(plain, `workspace: {friendlyName: ""}`), "spec.workspace.friendlyName in body should be at least 1 chars long"},
		"a workspace's name is bounded":         {with(plain, "workspace: {friendlyName: "+strings.Repeat("w", 257)+"}"), "spec.workspace.friendlyName: Too long"},
		"a workspace SID begins with WS":        {with(plain, "workspace: {sid: AC0123456789abcdef0123456789abcdef}"), "must be a TaskRouter workspace SID: WS followed by 32"},
		"a workspace SID has 32 digits":         {with(plain, "workspace: {sid: WS0123}"), "must be a TaskRouter workspace SID: WS followed by 32"},
		"a workspace SID is not longer":         {with(plain, "workspace: {sid: "+sid+"0}"), "spec.workspace.sid: Too long"},
		"a workspace SID is in small letters":   {with(plain, "workspace: {sid: WS0123456789ABCDEF0123456789ABCDEF}"), "32 lower-case hexadecimal digits (Twilio console: TaskRouter > Workspaces)"},
		"a policy needs a timeout":              {without(plain, "timeout"), "spec.timeout: Required value"},
		"a timeout has a unit":                  {with(plain, `timeout: "15"`), "must be a duration such as 15m, 90s or 1h30m"},
		"a timeout is not empty":                {with(plain, `timeout: ""`), "must be a duration such as 15m, 90s or 1h30m"},
		"a timeout is not in ISO 8601":          {with(plain, "timeout: PT15M"), "must be a duration such as 15m, 90s or 1h30m"},
		"a timeout is not negative":             {with(plain, "timeout: -15m"), "must be a duration such as 15m, 90s or 1h30m"},
		"a timeout has no fractions":            {with(plain, "timeout: 1.5h"), "must be a duration such as 15m, 90s or 1h30m"},
		"a number is no timeout":                {with(plain, "timeout: 15"), `spec.timeout: Invalid value: "integer"`},
		"less than a minute is too short":       {with(plain, "timeout: 59s"), "must be between 1m and 24h: Twilio's shortest timer is one minute"},
		"more than a day is too long":           {with(plain, "timeout: 24h1s"), "must be between 1m and 24h"},
		"half a second is not counted":          {with(plain, "timeout: 90500ms"), "must be in whole seconds, such as 90s"},
		"a timeout is not endless":              {with(plain, "timeout: "+strings.Repeat("1", 32)+"s"), "spec.timeout: Too long"},
		"an author is not empty":                {plain + `author: ""` + "\n", "spec.author in body should be at least 1 chars long"},
		"an author is bounded":                  {plain + "author: " + strings.Repeat("a", 257) + "\n", "spec.author: Too long"},
		"a reason is not empty":                 {plain + `onTimeout: {reason: ""}` + "\n", "spec.onTimeout.reason in body should be at least 1 chars long"},
		"a reason is bounded":                   {plain + "onTimeout: {reason: " + strings.Repeat("r", 129) + "}\n", "spec.onTimeout.reason: Too long"},
		"an unknown action is refused":          {plain + "onTimeout: {action: Delete}\n", `supported values: "Close", "WrapUp", "Notify"`},
		"an unknown callback mode is refused":   {plain + "callback: {mode: Hidden}\n", `supported values: "Managed", "Disabled"`},
		"an unknown onConflict is refused":      {plain + "callback: {onConflict: Share}\n", `supported values: "Refuse", "Replace", "Forward"`},
		"Notify without a message does nothing": {without(plain, "message") + "onTimeout: {action: Notify}\n", "onTimeout.action Notify only sends the message: write one in spec.message"},
		"Notify with an empty message does nothing": {
			with(plain, `message: ""`) + "onTimeout: {action: Notify}\n", "onTimeout.action Notify only sends the message: write one in spec.message"},
		"a template for outside the reply window is no message for Notify": {
			without(plain, "message") + "onTimeout: {action: Notify}\nreplyWindow: {outside: SendTemplate, contentSid: " + template + "}\n",
			"onTimeout.action Notify only sends the message: write one in spec.message"},
		"a misspelt field is refused":             {plain + "timeOut: 5m\n", `unknown field "spec.timeOut"`},
		"a misspelt field of a field is refused":  {plain + "hold: {attribute: hold, until: 5m}\n", `unknown field "spec.hold.until"`},
		"a misspelt field of an item is refused":  {plain + "warnings: [{before: 5m, message: Hello, text: Hello}]\n", `unknown field "spec.warnings[0].text"`},
		"what the status says is not for writing": {plain + "effectiveSince: 2026-01-01T00:00:00Z\n", `unknown field "spec.effectiveSince"`},
	})
}

// largest is a policy in which every field is set, and every text, list and number is as large as it may be.
var largest = func() string {
	long := strings.Repeat("m", 1600)
	texts := languages(32, long)
	return strings.Join([]string{
		"credentialsSecretRef: {name: " + strings.Repeat("s", 253) + "}",
		"workspace: {friendlyName: " + strings.Repeat("w", 256) + "}",
		"timeout: 24h",
		"message: " + long,
		"translations: " + texts,
		"languageAttribute: " + strings.Repeat("l", 128),
		"author: " + strings.Repeat("a", 256),
		"mode: Observe",
		"suspend: true",
		"priority: 1000000",
		"selector:",
		"  channels: " + list(16, func(i int) string { return fmt.Sprintf("channel%057d", i+1) }),
		"  taskQueues: " + list(64, func(i int) string { return fmt.Sprintf("queue%0251d", i+1) }),
		"  expression: " + strings.Repeat("e", 2048),
		"waitingOn: Customer",
		"anchor: FirstUnanswered",
		"warnings: " + list(8, func(i int) string {
			return fmt.Sprintf("{before: %dh, message: %s, translations: %s}", i+1, long, texts)
		}),
		"unanswered: {after: 23h59m59s, message: " + long + ", translations: " + texts + "}",
		"onTimeout: {action: WrapUp, reason: " + strings.Repeat("r", 128) + "}",
		"replyWindow:",
		"  outside: SendTemplate",
		"  contentSid: " + template,
		"  contentVariables: " + variables(32, strings.Repeat("v", 256)),
		"hours:",
		"  timeZone: America/" + strings.Repeat("z", 56),
		"  weekly: " + list(32, func(int) string {
			return `{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: "00:00", to: "24:00"}`
		}),
		"  holidays: " + list(400, func(i int) string { return fmt.Sprintf(`"20%02d-%02d-28"`, i/12, i%12+1) }),
		"  clock: OpenHours",
		"  closedHours: Defer",
		"existing: Immediate",
		"hold: {attribute: " + strings.Repeat("h", 128) + "}",
		"limits: {closesPerMinute: 6000}",
		"callback: {mode: Disabled, onConflict: Replace}",
	}, "\n") + "\n"
}()

// The API server gives all the rules of one object a budget together; a policy that it accepts the parts of must not be
// too expensive as a whole.
func TestTheLargestPolicyIsAcceptedAndReadBackAsItWasWritten(t *testing.T) {
	written, err := policyOf(largest)
	if err != nil {
		t.Fatal(err)
	}
	stored := written.DeepCopy()
	if err := cluster.Create(t.Context(), stored, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written.Object["spec"], stored.Object["spec"]); diff != "" {
		t.Errorf("the API server changed the policy (-written +stored):\n%s", diff)
	}

	var policy v1alpha1.InactivityPolicy
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(written.Object, &policy, true); err != nil {
		t.Fatal(err)
	}
	if unset := zeroFields(reflect.ValueOf(policy.Spec), "spec"); len(unset) > 0 {
		t.Errorf("largest leaves out %s: set every field there, at its bound", strings.Join(unset, ", "))
	}
	again, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&policy)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written.Object["spec"], again["spec"]); diff != "" {
		t.Errorf("the Go types change the policy (-written +read):\n%s", diff)
	}
}

// zeroFields are the paths of the fields that are not set. A workspace is named in one way only.
func zeroFields(value reflect.Value, path string) []string {
	switch {
	case value.Kind() == reflect.Pointer && !value.IsNil():
		return zeroFields(value.Elem(), path)
	case value.Kind() == reflect.Slice && value.Len() > 0:
		return zeroFields(value.Index(0), path+"[0]")
	case value.Kind() == reflect.Struct:
		var unset []string
		for field, inner := range value.Fields() {
			unset = append(unset, zeroFields(inner, path+"."+field.Name)...)
		}
		return unset
	case value.IsZero() && path != "spec.Workspace.SID":
		return []string{path}
	default:
		return nil
	}
}

func TestANewPolicyIsNotTakenForAFinishedOne(t *testing.T) {
	policy := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "new-"},
		Spec: v1alpha1.InactivityPolicySpec{
			CredentialsSecretRef: v1alpha1.SecretReference{Name: "twilio"},
			Workspace:            v1alpha1.WorkspaceReference{SID: sid},
			Timeout:              "15m",
		},
	}
	if err := cluster.Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Delete(context.Background(), policy); err != nil {
			t.Error(err)
		}
	})
	if got := policy.Status.ObservedGeneration; got != -1 {
		t.Errorf("status.observedGeneration of a new policy is %d, want -1", got)
	}
	if got := policy.Spec.Timeout; got != "15m" {
		t.Errorf("the timeout reads back as %q, want it as it was written", got)
	}
}
