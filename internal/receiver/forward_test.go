package receiver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
)

const theirURL = "https://them.example.com/events?key=1#rc=2"

// previous is a record that forwards to somebody, with changes.
func previous(change ...func(*callback.Previous)) callback.Previous {
	record := callback.Previous{WorkspaceSID: workspace, AccountSID: account, URL: theirURL, Forward: true}
	for _, c := range change {
		c(&record)
	}
	return record
}

// recording is the policy with a record in its annotation.
func recording(p *v1alpha1.InactivityPolicy, change ...func(*callback.Previous)) *v1alpha1.InactivityPolicy {
	text, err := json.Marshal(previous(change...))
	if err != nil {
		panic(err)
	}
	p.Annotations = map[string]string{v1alpha1.AnnotationPreviousCallback: string(text)}
	return p
}

func filtered(filter string) func(*callback.Previous) {
	return func(r *callback.Previous) { r.Filter = filter }
}

func leadingTo(url string) func(*callback.Previous) {
	return func(r *callback.Previous) { r.URL = url }
}

func born(p *v1alpha1.InactivityPolicy, minutes int) *v1alpha1.InactivityPolicy {
	p.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC))
	return p
}

func ourPolicy() *v1alpha1.InactivityPolicy { return policy("support", "inactive", workspace, account) }

func TestEventsAreHandedToTheForwarder(t *testing.T) {
	accepted := func() *http.Request { return signed(publicURL, taskRouterPath, token, acceptedForm()) }
	created := func() *http.Request {
		return signed(publicURL, taskRouterPath, token, with(acceptedForm(), "EventType", "task.created"))
	}
	policies := func(policies ...client.Object) func(*fixture) {
		return func(f *fixture) { f.policies = policies }
	}
	const nobody = ""
	tests := map[string]struct {
		arrange func(*fixture)
		request func() *http.Request
		status  int
		to      string
	}{
		"an event that the operator needs too":       {policies(recording(ourPolicy())), accepted, 204, theirURL},
		"an event that the operator ignores":         {policies(recording(ourPolicy())), created, 204, theirURL},
		"one of those that they got":                 {policies(recording(ourPolicy(), filtered("task.canceled, task.created"))), created, 204, theirURL},
		"not one that they did not get":              {policies(recording(ourPolicy(), filtered("task.created"))), accepted, 204, nobody},
		"of a suspended policy":                      {policies(recording(suspended(ourPolicy()))), accepted, 204, theirURL},
		"of a policy that is being deleted":          {policies(recording(deleted(ourPolicy()))), accepted, 204, theirURL},
		"of a policy without a record: from another": {policies(ourPolicy(), recording(policy("support", "other", workspace, account))), accepted, 204, theirURL},
		"although the queue is full": {
			func(f *fixture) { f.policies, f.queue.full = []client.Object{recording(ourPolicy())}, true }, accepted, 503, theirURL},
		"although its attributes cannot be read": {policies(recording(ourPolicy())), func() *http.Request {
			return signed(publicURL, taskRouterPath, token, with(acceptedForm(), "TaskAttributes", "{"))
		}, 204, theirURL},
		"signed with the previous token": {func(f *fixture) {
			f.policies = []client.Object{recording(ourPolicy())}
			f.secrets.held = map[types.NamespacedName]credentials.Credentials{ourSecret: held(account, token, oldToken)}
		}, func() *http.Request { return signed(publicURL, taskRouterPath, oldToken, acceptedForm()) }, 204, theirURL},

		"not where nobody was before":  {policies(ourPolicy()), accepted, 204, nobody},
		"not under another onConflict": {policies(recording(ourPolicy(), func(r *callback.Previous) { r.Forward = false })), accepted, 204, nobody},
		"not from an empty slot":       {policies(recording(ourPolicy(), leadingTo(""))), accepted, 204, nobody},
		"not a forged one":             {policies(recording(ourPolicy())), func() *http.Request { return signed(publicURL, taskRouterPath, "guess", acceptedForm()) }, 403, nobody},
		"not one of a conversation":    {policies(recording(ourPolicy())), func() *http.Request { return signed(publicURL, conversationsPath, token, timerForm()) }, 204, nobody},
		"not what is no form": {policies(recording(ourPolicy())), func() *http.Request {
			return signedBody(publicURL, taskRouterPath, token, acceptedForm(), acceptedForm().Encode()+"&a=%zz")
		}, 400, nobody},
		"not by a record that is none": {policies(func() client.Object {
			p := recording(ourPolicy())
			p.Annotations[v1alpha1.AnnotationPreviousCallback] = "{"
			return p
		}()), accepted, 204, nobody},
		"not by that of another workspace": {policies(recording(ourPolicy(), func(r *callback.Previous) { r.WorkspaceSID = otherSpace })), accepted, 204, nobody},
		"not by that of another account":   {policies(recording(ourPolicy(), func(r *callback.Previous) { r.AccountSID = otherAccount })), accepted, 204, nobody},
		"not by a policy that only names the workspace": {
			policies(ourPolicy(), recording(policy("sales", "thief", workspace, ""))), accepted, 204, nobody},
		"not by a policy of another account": {
			policies(ourPolicy(), recording(policy("sales", "thief", workspace, otherAccount))), accepted, 204, nobody},

		"the oldest policy is believed": {policies(
			born(recording(policy("support", "a", workspace, account), leadingTo("https://new.example.com")), 2),
			born(recording(policy("support", "b", workspace, account)), 1),
			born(recording(policy("support", "c", workspace, account), leadingTo("https://newest.example.com")), 3)), accepted, 204, theirURL},
		"of equally old ones the first by name": {policies(
			born(recording(policy("support", "b", workspace, account), leadingTo("https://b.example.com")), 1),
			born(recording(policy("support", "a", workspace, account)), 1)), accepted, 204, theirURL},
		"a guess counts last": {policies(
			born(recording(policy("support", "a", workspace, account), func(r *callback.Previous) { r.Guessed, r.URL = true, "" }), 1),
			born(recording(policy("support", "b", workspace, account)), 2)), accepted, 204, theirURL},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			test.arrange(f)
			r := f.receiver(t)
			request := test.request()
			if got := f.answered(r, request).StatusCode; got != test.status {
				t.Errorf("status %d, want %d", got, test.status)
			}
			if test.to == nobody {
				if len(f.others.got) != 0 {
					t.Errorf("forwarded to %s", f.others.got[0].Target)
				}
				return
			}
			if len(f.others.got) != 1 || f.others.got[0].Target != test.to {
				t.Fatalf("forwarded %+v, want one event to %s", f.others.got, test.to)
			}
		})
	}
}

func TestAnEventIsForwardedAsItCame(t *testing.T) {
	f := newFixture()
	f.policies = []client.Object{recording(ourPolicy())}
	f.secrets.held[ourSecret] = held(account, token, oldToken)
	r := f.receiver(t)
	form := acceptedForm()
	body := strings.ReplaceAll(form.Encode(), "+", "%20") // not as Go would encode it
	request := signedBody(publicURL, taskRouterPath, oldToken, form, body)
	f.answered(r, request)
	if len(f.others.got) != 1 {
		t.Fatalf("forwarded %d events", len(f.others.got))
	}
	got := f.others.got[0]
	diff(t, "body", body, string(got.Body))
	diff(t, "form", form, got.Form)
	diff(t, "header", request.Header, got.Header)
	diff(t, "token", oldToken, got.Token)
	diff(t, "workspace", workspace, got.WorkspaceSID)
	diff(t, "policy", "InactivityPolicy support/inactive", fmt.Sprint(got.Policy.Kind, " ", got.Policy.Namespace, "/", got.Policy.Name))
}

func TestRecordsAreKeptDecodedWithinABound(t *testing.T) {
	r := newRecords()
	text := func(name string) string { return `{"workspaceSid":"` + name + `"}` }
	if first := r.read(text("WS1")); first == nil || first != r.read(text("WS1")) {
		t.Error("a record is decoded twice")
	}
	for i := range 3 * maxRecords {
		if got := r.read(text(fmt.Sprint("WS", i))); got == nil || got.WorkspaceSID != fmt.Sprint("WS", i) {
			t.Fatalf("record %d was read as %+v", i, got)
		}
	}
	if len(r.decoded) > maxRecords {
		t.Errorf("%d are kept", len(r.decoded))
	}
	clear(r.decoded)
	if got := r.read(text("WS1") + strings.Repeat(" ", maxRecordLength)); got == nil || len(r.decoded) != 0 {
		t.Errorf("a long one was read as %+v, and %d are kept", got, len(r.decoded))
	}
}
