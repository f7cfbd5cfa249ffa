package v1alpha1_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
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

// admission is a spec and what the API server says about it.
type admission struct {
	spec string
	// refused is part of the message; empty: the policy is accepted.
	refused string
}

// try asks the API server about each spec. A refusal has to name one cause, and the one that is expected: a second one, or
// an error of CEL's in place of the rule's sentence, would send the reader the wrong way.
func try(t *testing.T, tests map[string]admission) {
	t.Helper()
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			err := admit(t.Context(), test.spec)
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.refused == "":
			case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err), !strings.Contains(err.Error(), test.refused):
				t.Errorf("error %v, want a refusal that says %q", err, test.refused)
			case strings.Contains(err.Error(), "evaluation error"):
				t.Errorf("a rule could not be evaluated: %v", err)
			default:
				if found := causes(err); len(found) > 1 {
					t.Errorf("%d causes are named, want one:\n%s", len(found), strings.Join(found, "\n"))
				}
			}
		})
	}
}

// admit has the API server judge a policy with the spec, without keeping it.
func admit(ctx context.Context, spec string) error {
	policy, err := policyOf(spec)
	if err != nil {
		return err
	}
	return cluster.Create(ctx, policy, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

func policyOf(spec string) (*unstructured.Unstructured, error) {
	policy := &unstructured.Unstructured{Object: map[string]any{}}
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("InactivityPolicy"))
	policy.SetNamespace(metav1.NamespaceDefault)
	policy.SetGenerateName("admission-")
	asJSON, err := yaml.YAMLToJSON([]byte(spec))
	if err != nil {
		return nil, fmt.Errorf("reading the test's spec: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(asJSON, &fields); err != nil { // Kubernetes' own, for which 5 is an integer
		return nil, fmt.Errorf("reading the test's spec: %w", err)
	}
	policy.Object["spec"] = fields
	return policy, nil
}

// causes are what the API server objects to. It adds a remark when it has not come to the rules, which is none.
func causes(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var found []string
	for _, cause := range status.Status().Details.Causes {
		if !strings.Contains(cause.Message, "some validation rules were not checked") {
			found = append(found, cause.Field+": "+cause.Message)
		}
	}
	return found
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

// list is a list in YAML of n items, each made of its number.
func list(n int, item func(i int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// languages is a map in YAML from n language tags to text.
func languages(n int, text string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf("a%c%c: %s", 'a'+i/26, 'a'+i%26, text)
	}
	return "{" + strings.Join(entries, ", ") + "}"
}
