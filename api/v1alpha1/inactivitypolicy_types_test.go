package v1alpha1_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

var cluster client.Client

func TestMain(m *testing.M) {
	os.Exit(func() int {
		config, stop, err := apiserver.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if cluster, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

const sid = "WS0123456789abcdef0123456789abcdef"

// plain is the policy that most people write.
const plain = `
credentialsSecretRef: {name: twilio}
workspace: {friendlyName: Flex Task Assignment}
timeout: 15m
message: Your session has timed out.
`

func TestAdmission(t *testing.T) {
	for sentence, test := range map[string]struct {
		spec string
		// refused is part of the message; empty: the policy is accepted.
		refused string
	}{
		"three fields and the credentials are a policy":    {plain, ""},
		"a workspace can be named by SID":                  {with(plain, "workspace: {sid: "+sid+"}"), ""},
		"a policy can be silent":                           {without(plain, "message"), ""},
		"an empty message is a silent policy":              {with(plain, `message: ""`), ""},
		"one minute is the shortest timeout":               {with(plain, "timeout: 1m"), ""},
		"sixty seconds are one minute":                     {with(plain, "timeout: 60s"), ""},
		"a day is the longest timeout":                     {with(plain, "timeout: 24h"), ""},
		"hours and minutes can be mixed":                   {with(plain, "timeout: 1h30m"), ""},
		"a message as long as an SMS can be is accepted":   {with(plain, "message: "+strings.Repeat("m", 1600)), ""},
		"every field can be set":                           {plain + "author: Support\nsuspend: true\nonTimeout: {action: WrapUp, reason: Idle}\ncallback: {mode: Disabled, onConflict: Replace}\n", ""},
		"Close is an action":                               {plain + "onTimeout: {action: Close}\n", ""},
		"Notify is an action when there is a message":      {plain + "onTimeout: {action: Notify}\n", ""},
		"Managed is a callback mode, Refuse an onConflict": {plain + "callback: {mode: Managed, onConflict: Refuse}\n", ""},

		"a policy needs credentials":            {without(plain, "credentialsSecretRef"), "spec.credentialsSecretRef: Required value"},
		"a Secret has a name":                   {with(plain, `credentialsSecretRef: {name: ""}`), "spec.credentialsSecretRef.name"},
		"a policy needs a workspace":            {without(plain, "workspace"), "spec.workspace: Required value"},
		"a workspace is named":                  {with(plain, "workspace: {}"), "set exactly one of sid and friendlyName"},
		"a workspace is named in one way":       {with(plain, "workspace: {sid: "+sid+", friendlyName: Flex}"), "set exactly one of sid and friendlyName"},
		"a workspace SID begins with WS":        {with(plain, "workspace: {sid: AC0123456789abcdef0123456789abcdef}"), "must be a TaskRouter workspace SID: WS followed by 32"},
		"a workspace SID has 32 digits":         {with(plain, "workspace: {sid: WS0123}"), "must be a TaskRouter workspace SID: WS followed by 32"},
		"a policy needs a timeout":              {without(plain, "timeout"), "spec.timeout: Required value"},
		"a timeout has a unit":                  {with(plain, `timeout: "15"`), "must be a duration such as 15m, 90s or 1h30m"},
		"a timeout is not in ISO 8601":          {with(plain, "timeout: PT15M"), "must be a duration such as 15m, 90s or 1h30m"},
		"a number is no timeout":                {with(plain, "timeout: 15"), "spec.timeout"},
		"less than a minute is too short":       {with(plain, "timeout: 59s"), "must be between 1m and 24h"},
		"more than a day is too long":           {with(plain, "timeout: 24h1s"), "must be between 1m and 24h"},
		"a message must fit into an SMS":        {with(plain, "message: "+strings.Repeat("m", 1601)), "spec.message: Too long"},
		"an author is not empty":                {plain + `author: ""` + "\n", "spec.author"},
		"an author is bounded":                  {plain + "author: " + strings.Repeat("a", 257) + "\n", "spec.author: Too long"},
		"a reason is bounded":                   {plain + "onTimeout: {reason: " + strings.Repeat("r", 129) + "}\n", "spec.onTimeout.reason: Too long"},
		"an unknown action is refused":          {plain + "onTimeout: {action: Delete}\n", `supported values: "Close", "WrapUp", "Notify"`},
		"an unknown callback mode is refused":   {plain + "callback: {mode: Off}\n", `supported values: "Managed", "Disabled"`},
		"an unknown onConflict is refused":      {plain + "callback: {onConflict: Forward}\n", `supported values: "Refuse", "Replace"`},
		"Notify without a message does nothing": {without(plain, "message") + "onTimeout: {action: Notify}\n", "onTimeout.action Notify only sends the message"},
		"a misspelt field is refused":           {plain + "timeOut: 5m\n", `unknown field "spec.timeOut"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			policy := &unstructured.Unstructured{Object: map[string]any{}}
			policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("InactivityPolicy"))
			policy.SetNamespace(metav1.NamespaceDefault)
			policy.SetGenerateName("admission-")
			var spec map[string]any
			if err := yaml.Unmarshal([]byte(test.spec), &spec); err != nil {
				t.Fatal(err)
			}
			policy.Object["spec"] = spec
			err := cluster.Create(t.Context(), policy, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.refused != "" && (!apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("error %v, want a refusal that says %q", err, test.refused)
			}
		})
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

// with replaces the line of a field, without leaves it out.
func with(spec, line string) string {
	field, _, _ := strings.Cut(line, ":")
	return without(spec, field) + line + "\n"
}

func without(spec, field string) string {
	var kept []string
	for line := range strings.SplitSeq(spec, "\n") {
		if !strings.HasPrefix(line, field+":") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
