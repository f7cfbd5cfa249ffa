package config_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

// samples are the policies of config/samples by the names of their files.
func samples(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("samples/contactcenter_*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		opened, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		decoder := yaml.NewYAMLOrJSONDecoder(opened, 4096)
		policy := &unstructured.Unstructured{}
		if err := decoder.Decode(policy); err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		if err := decoder.Decode(&unstructured.Unstructured{}); !errors.Is(err, io.EOF) {
			t.Errorf("%s holds more than one policy: %v", file, err)
		}
		found[filepath.Base(file)] = policy
	}
	if len(found) != 5 {
		t.Fatalf("there are %d samples, want five", len(found))
	}
	return found
}

func TestTheAPIServerTakesEverySampleAndKeepsItAsItIs(t *testing.T) {
	config, stop, err := apiserver.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	// All of them in one namespace, because they are meant to be together.
	for file, sample := range samples(t) {
		written, err := json.Marshal(sample.Object)
		if err != nil {
			t.Fatal(err)
		}
		stored := sample.DeepCopy()
		stored.SetNamespace(metav1.NamespaceDefault)
		if err := cluster.Patch(t.Context(), stored, client.RawPatch(types.ApplyPatchType, written),
			client.FieldOwner("test"), client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
			t.Errorf("applying %s: %v", file, err)
			continue
		}
		read := &unstructured.Unstructured{}
		read.SetGroupVersionKind(stored.GroupVersionKind())
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(stored), read); err != nil {
			t.Fatal(err)
		}
		if read.GetResourceVersion() == "" || read.GetGeneration() != 1 {
			t.Errorf("%s was written over another sample: do two of them have the name %s?", file, read.GetName())
		}
		if diff := cmp.Diff(sample.Object["spec"], read.Object["spec"]); diff != "" {
			t.Errorf("the API server changes %s (-written +stored):\n%s", file, diff)
		}
	}
}

// compiled are the samples as the operator reads them, in their order of precedence.
func compiled(t *testing.T) []inactivity.Policy {
	t.Helper()
	var policies []inactivity.Policy
	for file, sample := range samples(t) {
		policy, err := inactivity.Compile(convert[v1alpha1.InactivityPolicy](t, sample))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		policies = append(policies, policy)
	}
	slices.SortFunc(policies, inactivity.Compare)
	return policies
}

// Together the samples are the policies of one contact centre: where several select a conversation, it is meant to be
// the one's that is named here.
func TestTheSamplesShareAWorkspace(t *testing.T) {
	policies := compiled(t)
	for sentence, test := range map[string]struct{ attributes, queue, owner string }{
		"an SMS is the plain policy's":                         {`{"channelType": "sms"}`, "Support", "flex"},
		"so is what nobody has thought of":                     {`{"channelType": "line"}`, "Support", "flex"},
		"and a task that does not say its channel":             {`{}`, "Support", "flex"},
		"a silver customer is like everybody":                  {`{"channelType": "sms", "tier": "silver"}`, "Support", "flex"},
		"WhatsApp has its own policy":                          {`{"channelType": "whatsapp"}`, "Support", "flex-whatsapp"},
		"the chat on the website has its own policy":           {`{"channelType": "web"}`, "Support", "flex-web-chat"},
		"also under its older name":                            {`{"channelType": "chat"}`, "Support", "flex-web-chat"},
		"the queue Returns is tried out, whatever the channel": {`{"channelType": "whatsapp"}`, "Returns", "flex-returns-trial"},
		"a gold customer is a VIP on WhatsApp":                 {`{"channelType": "whatsapp", "tier": "gold"}`, "Support", "flex-vip"},
		"a gold customer is a VIP in the queue Returns":        {`{"channelType": "sms", "tier": "gold"}`, "Returns", "flex-vip"},
		"everybody in the queue VIP is a VIP":                  {`{"channelType": "web"}`, "VIP", "flex-vip"},
	} {
		t.Run(sentence, func(t *testing.T) {
			attributes, err := inactivity.ParseTaskAttributes(test.attributes)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
			owner, err := inactivity.Owner(policies, []inactivity.Task{{
				SID: "WT0123456789abcdef0123456789abcdef", Status: inactivity.TaskAssigned, Attributes: attributes,
				Queue: test.queue, Created: now.Add(-time.Hour),
			}}, now)
			if err != nil || owner < 0 {
				t.Fatalf("nobody owns the conversation: %v", err)
			}
			if got := strings.TrimPrefix(policies[owner].Name, "/"); got != test.owner { // a sample names no namespace
				t.Errorf("the conversation is %s's, want %s", got, test.owner)
			}
		})
	}
}

func TestEverySampleIsInTheReadme(t *testing.T) {
	page, err := os.ReadFile("samples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(page)
	_, undo, _ := strings.Cut(readme, "kubectl delete inactivitypolicies ")
	undo, _, _ = strings.Cut(undo, "\n")
	for file, sample := range samples(t) {
		if !strings.Contains(readme, "\n| ["+file+"]("+file+") | ") {
			t.Errorf("samples/README.md has no row for %s", file)
		}
		if sample.GetName() == "flex" { // in the kustomization
			continue
		}
		if !strings.Contains(readme, "\nkubectl apply -f config/samples/"+file+"\n") {
			t.Errorf("samples/README.md does not say how to apply %s", file)
		}
		if !slices.Contains(strings.Fields(undo), sample.GetName()) {
			t.Errorf("samples/README.md does not say how to delete %s", sample.GetName())
		}
	}
}
