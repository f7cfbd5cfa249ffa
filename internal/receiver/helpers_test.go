package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/forward"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	publicURL = "https://callbacks.example.com"

	account      = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	otherAccount = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	workspace    = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	otherSpace   = "WSbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	conversation = "CH0123456789abcdef0123456789abcdef"
	task         = "WT0123456789abcdef0123456789abcdef"
	reservation  = "WR0123456789abcdef0123456789abcdef"
	queueSID     = "WQ0123456789abcdef0123456789abcdef"

	token      = "currenttoken"
	oldToken   = "previoustoken"
	otherToken = "tokenofanothertenant"

	attributes = `{"conversationSid":"` + conversation + `","channelType":"sms","name":"Zoë <b>","from":"+15550001111"}`

	taskRouterPath    = "/v1/taskrouter/" + workspace
	conversationsPath = "/v1/conversations/" + workspace
	formType          = "application/x-www-form-urlencoded"
)

var (
	ourSecret   = types.NamespacedName{Namespace: "support", Name: "twilio"}
	theirSecret = types.NamespacedName{Namespace: "sales", Name: "twilio"}
)

// wantHandled is a key that the queue should have been given.
type wantHandled struct {
	Workspace, Conversation string
	Accepted                *inactivity.Acceptance
}

// queue records what it is given.
type queue struct {
	mu   sync.Mutex
	full bool
	got  []wantHandled
}

func (q *queue) Enqueue(workspaceSID, conversationSID string, accepted *inactivity.Acceptance) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full {
		return false
	}
	q.got = append(q.got, wantHandled{workspaceSID, conversationSID, accepted})
	return true
}

func (q *queue) all() []wantHandled {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.got)
}

// others records what it is given to pass on.
type others struct {
	mu  sync.Mutex
	got []forward.Event
}

func (o *others) Forward(event forward.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, event)
}

// secretsInMemory are the credentials that a test gives the receiver.
type secretsInMemory struct {
	mu       sync.Mutex
	held     map[types.NamespacedName]credentials.Credentials
	unloaded bool
	asked    []string
}

func (s *secretsInMemory) Get(secret types.NamespacedName) (credentials.Credentials, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.held[secret]
	return held, ok
}

func (s *secretsInMemory) RefreshSoon(secret types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, secret.String())
}

func (s *secretsInMemory) Loaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unloaded
}

func held(accountSID, token, previous string) credentials.Credentials {
	return credentials.Credentials{
		Twilio:            twilio.Credentials{AccountSID: accountSID, AuthToken: token},
		PreviousAuthToken: previous,
	}
}

// fixture is a receiver and all it depends on. By default there is one policy in force, and its Secret has been read.
type fixture struct {
	public   string
	policies []client.Object
	reader   client.Reader // nil: one with the policies
	secrets  *secretsInMemory
	queue    *queue
	others   *others
	registry *prometheus.Registry

	mu  sync.Mutex
	log []string
}

func newFixture() *fixture {
	return &fixture{
		public:   publicURL,
		policies: []client.Object{policy("support", "inactive", workspace, account)},
		secrets:  &secretsInMemory{held: map[types.NamespacedName]credentials.Credentials{ourSecret: held(account, token, "")}},
		queue:    &queue{},
		others:   &others{},
		registry: prometheus.NewRegistry(),
	}
}

// policy is one that was resolved to the workspace, or names it only, if there is no account.
func policy(namespace, name, workspaceSID, accountSID string) *v1alpha1.InactivityPolicy {
	p := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.InactivityPolicySpec{
			CredentialsSecretRef: v1alpha1.SecretReference{Name: "twilio"},
			Workspace:            v1alpha1.WorkspaceReference{SID: workspaceSID},
		},
	}
	if accountSID != "" {
		p.Status.Workspace = &v1alpha1.ObservedWorkspace{SID: workspaceSID, AccountSID: accountSID}
	}
	return p
}

type clientIndexer struct{ builder *fake.ClientBuilder }

func (c clientIndexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	c.builder.WithIndex(object, field, extract)
	return nil
}

// timely lists nothing for a context that is done, as the manager's cache may.
type timely struct{ client.Reader }

func (t timely) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.Reader.List(ctx, list, options...)
}

func (f *fixture) options(tb testing.TB) Options {
	tb.Helper()
	public, err := callback.ParsePublicURL(f.public)
	if err != nil {
		tb.Fatal(err)
	}
	series, err := metrics.New(f.registry)
	if err != nil {
		tb.Fatal(err)
	}
	if f.reader == nil {
		scheme := runtime.NewScheme()
		if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
			tb.Fatal(err)
		}
		builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(f.policies...)
		if err := index.Register(tb.Context(), clientIndexer{builder}); err != nil {
			tb.Fatal(err)
		}
		f.reader = timely{builder.Build()}
	}
	return Options{
		PublicURL: public, BindAddress: "127.0.0.1:0",
		Policies: f.reader, Secrets: f.secrets, Queue: f.queue, Forwarder: f.others, Metrics: series,
	}
}

func (f *fixture) receiver(tb testing.TB) *Receiver {
	tb.Helper()
	r, err := New(f.options(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// logging returns a context whose logger keeps its lines.
func (f *fixture) logging(ctx context.Context) context.Context {
	return logr.NewContext(ctx, funcr.New(func(_, line string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.log = append(f.log, line)
	}, funcr.Options{}))
}

func (f *fixture) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.log, "\n")
}

// counted returns the counters that are not zero, without the operator's prefix.
func (f *fixture) counted(tb testing.TB) []string {
	tb.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	var counted []string
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if series.GetCounter().GetValue() == 0 {
				continue
			}
			line := strings.TrimPrefix(family.GetName(), "inactivity_operator_")
			for _, label := range series.GetLabel() {
				line += " " + label.GetValue()
			}
			counted = append(counted, fmt.Sprint(line, " ", series.GetCounter().GetValue()))
		}
	}
	return counted
}

// acceptedForm is a reservation.accepted event with the parameters that Twilio sends.
func acceptedForm() url.Values {
	return url.Values{
		"EventType": {"reservation.accepted"}, "Sid": {"EV0123456789abcdef0123456789abcdef"},
		"AccountSid": {account}, "WorkspaceSid": {workspace}, "WorkspaceName": {"Flex Task Assignment"},
		"ResourceType": {"reservation"}, "ResourceSid": {reservation}, "EventDescription": {"Reservation accepted"},
		"Timestamp": {"1772446500"}, "TimestampMs": {"1772446500123"},
		"ReservationSid": {reservation}, "ReservationVersion": {"1"},
		"TaskSid": {task}, "TaskAttributes": {attributes}, "TaskVersion": {"1"}, "TaskAge": {"12"}, "TaskPriority": {"3"},
		"TaskAssignmentStatus": {"assigned"}, "TaskChannelUniqueName": {"sms"},
		"TaskQueueSid": {queueSID}, "TaskQueueName": {"Everyone"},
		"WorkerSid": {"WK0123456789abcdef0123456789abcdef"}, "WorkerName": {"agent@example.com"},
		"WorkerAttributes": {`{"full_name":"An Agent"}`}, "OperatingUnitSid": {""},
	}
}

// timerForm is an onConversationStateUpdated event with the parameters that Twilio sends.
func timerForm() url.Values {
	return url.Values{
		"EventType": {"onConversationStateUpdated"}, "AccountSid": {account}, "Source": {"SDK"},
		"ChatServiceSid": {"IS0123456789abcdef0123456789abcdef"}, "ConversationSid": {conversation},
		"StateUpdated": {"2026-03-02T10:15:00.000Z"}, "StateFrom": {"active"}, "StateTo": {"inactive"},
		"Reason": {"TIMER"}, "MessagingServiceSid": {"MG0123456789abcdef0123456789abcdef"},
	}
}

func with(form url.Values, changes ...string) url.Values {
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "-" {
			form.Del(changes[i])
		} else {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form
}

// twice is a form in which a parameter has a second, different value.
func twice(form url.Values, name, value string) url.Values {
	form.Add(name, value)
	return form
}

// signed is a request as Twilio sends it to target, the path and query below the public URL.
func signed(public, target, token string, form url.Values) *http.Request {
	return signedBody(public, target, token, form, form.Encode())
}

func signedBody(public, target, token string, form url.Values, body string) *http.Request {
	request := httptest.NewRequest(http.MethodPost, "http://receiver.internal"+target, strings.NewReader(body))
	request.Header.Set("Content-Type", formType+"; charset=UTF-8")
	request.Header.Set(signature.Header, signature.Compute(token, public+target, form))
	return request
}

// answered sends the request and returns the answer's status.
func (f *fixture) answered(r *Receiver, request *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	r.ServeHTTP(recorder, request.WithContext(f.logging(request.Context())))
	return recorder.Result()
}

func diff(tb testing.TB, what string, want, got any) {
	tb.Helper()
	if difference := cmp.Diff(want, got); difference != "" {
		tb.Errorf("%s (-want +got):\n%s", what, difference)
	}
}
