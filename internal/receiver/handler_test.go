package receiver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// brokenReader is a cache that cannot be read.
type brokenReader struct{ client.Reader }

func (brokenReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the cache is not started, can not read objects")
}

func wantAccepted() []wantHandled {
	return []wantHandled{{workspace, conversation, &inactivity.Acceptance{
		TaskSID: task, ReservationSID: reservation, Attributes: attributes, AssignmentStatus: "assigned",
		TaskQueueSID: queueSID, TaskQueueName: "Everyone", TaskPriority: 3, TaskAge: 12 * time.Second,
		At: time.Date(2026, 3, 2, 10, 15, 0, 123e6, time.UTC),
	}}}
}

func wantTimer() []wantHandled { return []wantHandled{{workspace, conversation, nil}} }

func suspended(p *v1alpha1.InactivityPolicy) *v1alpha1.InactivityPolicy {
	p.Spec.Suspend = true
	return p
}

func deleted(p *v1alpha1.InactivityPolicy) *v1alpha1.InactivityPolicy {
	now := metav1.Now()
	p.DeletionTimestamp, p.Finalizers = &now, []string{v1alpha1.Finalizer}
	return p
}

// TestAnswers is the list of everything that a request can be, and what it gets.
func TestAnswers(t *testing.T) {
	post := func(target string, form url.Values) func() *http.Request {
		return func() *http.Request { return signed(publicURL, target, token, form) }
	}
	changed := func(change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			request := signed(publicURL, taskRouterPath, token, acceptedForm())
			change(request)
			return request
		}
	}
	policies := func(policies ...client.Object) func(*fixture) {
		return func(f *fixture) { f.policies = policies }
	}

	tests := map[string]struct {
		arrange func(*fixture)
		request func() *http.Request
		status  int
		queued  []wantHandled
		counted []string
		asked   []string // Secrets to be read again
	}{
		// What is taken.
		"an accepted reservation": {
			request: post(taskRouterPath, acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a timer that ran out": {
			request: post(conversationsPath, timerForm()),
			status:  204, queued: wantTimer(), counted: []string{"callbacks_total conversations enqueued 1"},
		},
		"parameters that nobody knows": {
			request: post(taskRouterPath, with(acceptedForm(), "BrandNew", "1", "TaskVirtualStartTime", "")),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a content type without charset": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Type", formType) }),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a signature made with the default port": {
			request: func() *http.Request {
				r := signed(publicURL, taskRouterPath, token, acceptedForm())
				r.Header.Set(signature.Header, signature.Compute(token, publicURL+":443"+taskRouterPath, acceptedForm()))
				return r
			},
			status: 204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a public URL with a port that the signature lacks": {
			arrange: func(f *fixture) { f.public = publicURL + ":8443" },
			request: post(taskRouterPath, acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a public URL with a port that the signature has": {
			arrange: func(f *fixture) { f.public = publicURL + ":8443" },
			request: func() *http.Request {
				return signed(publicURL+":8443", taskRouterPath, token, acceptedForm())
			},
			status: 204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a public URL with a path": {
			arrange: func(f *fixture) { f.public = publicURL + "/twilio/" },
			request: post("/twilio"+taskRouterPath, acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a query, which is signed": {
			request: post(taskRouterPath+"?a=b&b=%20", acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"an empty query, which is signed": {
			request: post(taskRouterPath+"?", acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"the previous token of a rotation": {
			arrange: func(f *fixture) { f.secrets.held[ourSecret] = held(account, token, oldToken) },
			request: func() *http.Request { return signed(publicURL, taskRouterPath, oldToken, acceptedForm()) },
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"the token of another policy of the workspace": {
			arrange: func(f *fixture) {
				f.policies = append(f.policies, policy("sales", "inactive", workspace, account))
				f.secrets.held[theirSecret] = held(account, "anothertoken", "")
			},
			request: func() *http.Request { return signed(publicURL, taskRouterPath, "anothertoken", acceptedForm()) },
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a verified callback while the Secret of another policy is missing": {
			arrange: func(f *fixture) { f.policies = append(f.policies, policy("sales", "inactive", workspace, account)) },
			request: post(taskRouterPath, acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"one of two policies is suspended": {
			arrange: func(f *fixture) {
				f.policies = append(f.policies, suspended(policy("support", "other", workspace, account)))
			},
			request: post(taskRouterPath, acceptedForm()),
			status:  204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"repeated equal parameters": {
			request: func() *http.Request {
				form := acceptedForm()
				form.Add("TaskSid", task)
				return signed(publicURL, taskRouterPath, token, form)
			},
			status: 204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},
		"a Host header and forwarding headers of the attacker's choice change nothing": {
			request: changed(func(r *http.Request) {
				r.Host = "evil.example.com"
				r.Header.Set("X-Forwarded-Host", "evil.example.com")
				r.Header.Set("X-Forwarded-Proto", "http")
			}),
			status: 204, queued: wantAccepted(), counted: []string{"callbacks_total taskrouter enqueued 1"},
		},

		// What is ignored on purpose.
		"another TaskRouter event": {
			request: post(taskRouterPath, with(acceptedForm(), "EventType", "reservation.created")),
			status:  204, counted: []string{"callbacks_total taskrouter ignored 1"},
		},
		"a task without a conversation": {
			request: post(taskRouterPath, with(acceptedForm(), "TaskAttributes", `{"call_sid":"CA1"}`)),
			status:  204, counted: []string{"callbacks_total taskrouter ignored 1"},
		},
		"another Conversations event": {
			request: post(conversationsPath, with(timerForm(), "EventType", "onMessageAdded")),
			status:  204, counted: []string{"callbacks_total conversations ignored 1"},
		},
		"a conversation that became active": {
			request: post(conversationsPath, with(timerForm(), "StateTo", "active")),
			status:  204, counted: []string{"callbacks_total conversations ignored 1"},
		},
		"a conversation that its agent left": {
			request: post(conversationsPath, with(timerForm(), "Reason", "API")),
			status:  204, counted: []string{"callbacks_total conversations ignored 1"},
		},
		"the only policy is suspended": {
			arrange: policies(suspended(policy("support", "inactive", workspace, account))),
			request: post(taskRouterPath, acceptedForm()),
			status:  204, counted: []string{"callbacks_total taskrouter ignored 1"},
		},
		"all policies are suspended or being deleted": {
			arrange: policies(suspended(policy("support", "a", workspace, account)), deleted(policy("support", "b", workspace, account))),
			request: post(conversationsPath, timerForm()),
			status:  204, counted: []string{"callbacks_total conversations ignored 1"},
		},
		"task attributes that are not JSON": {
			request: post(taskRouterPath, with(acceptedForm(), "TaskAttributes", `{"conversationSid":`)),
			status:  204, counted: []string{"callbacks_total taskrouter unusable 1"},
		},
		"no task attributes": {
			request: post(taskRouterPath, with(acceptedForm(), "TaskAttributes", "-")),
			status:  204, counted: []string{"callbacks_total taskrouter ignored 1"},
		},
		"task attributes with a conversation SID that is none": {
			request: post(taskRouterPath, with(acceptedForm(), "TaskAttributes", `{"conversationSid":"CH1/../../x"}`)),
			status:  204, counted: []string{"callbacks_total taskrouter unusable 1"},
		},

		// What is not authentic.
		"no signature": {
			request: changed(func(r *http.Request) { r.Header.Del(signature.Header) }),
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total missing 1"},
		},
		"a forged signature": {
			request: func() *http.Request { return signed(publicURL, taskRouterPath, "guess", acceptedForm()) },
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"an empty signature": {
			request: changed(func(r *http.Request) { r.Header.Set(signature.Header, "") }),
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"two signatures, one of them right": {
			request: changed(func(r *http.Request) { r.Header.Add(signature.Header, "x") }),
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
		},
		"a parameter that was changed": {
			request: func() *http.Request {
				return signedBody(publicURL, taskRouterPath, token, acceptedForm(), with(acceptedForm(), "TaskSid", "WT1").Encode())
			},
			status: 403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"a signature for the other endpoint": {
			request: func() *http.Request {
				r := signed(publicURL, conversationsPath, token, acceptedForm())
				r.Header.Set(signature.Header, signature.Compute(token, publicURL+taskRouterPath, acceptedForm()))
				return r
			},
			status: 403, counted: []string{"callbacks_total conversations forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"a signature for the address that the Host header names": {
			request: func() *http.Request {
				r := signed("http://receiver.internal", taskRouterPath, token, acceptedForm())
				return r
			},
			status: 403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"a query that was added": {
			request: func() *http.Request {
				r := signed(publicURL, taskRouterPath+"?x", token, acceptedForm())
				r.Header.Set(signature.Header, signature.Compute(token, publicURL+taskRouterPath, acceptedForm()))
				return r
			},
			status: 403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"the right token of another tenant, for its own workspace": {
			arrange: func(f *fixture) {
				f.policies = append(f.policies, policy("sales", "inactive", otherSpace, otherAccount))
				f.secrets.held[theirSecret] = held(otherAccount, otherToken, "")
			},
			request: func() *http.Request {
				return signed(publicURL, taskRouterPath, otherToken, with(acceptedForm(), "AccountSid", otherAccount))
			},
			status: 403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},
		"the right token of another tenant, whose policy only says that the workspace is its own": {
			arrange: func(f *fixture) {
				f.policies = append(f.policies, policy("sales", "inactive", workspace, ""))
				f.secrets.held[theirSecret] = held(otherAccount, otherToken, "")
			},
			request: func() *http.Request {
				return signed(publicURL, taskRouterPath, otherToken, with(acceptedForm(), "AccountSid", otherAccount))
			},
			status: 503, counted: []string{"callbacks_total taskrouter unavailable 1"},
			asked: []string{"sales/twilio", "support/twilio"},
		},
		"the right token of another tenant, whose policy has an account but no workspace in its status": {
			arrange: func(f *fixture) {
				p := policy("sales", "inactive", workspace, otherAccount)
				p.Status.Workspace.SID = ""
				f.policies = []client.Object{p}
				f.secrets.held[theirSecret] = held(otherAccount, otherToken, "")
			},
			request: func() *http.Request {
				return signed(publicURL, taskRouterPath, otherToken, with(acceptedForm(), "AccountSid", otherAccount))
			},
			status: 503, counted: []string{"callbacks_total taskrouter unavailable 1"},
			asked: []string{"sales/twilio"},
		},
		"the token of another account, put into the Secret after the workspace was resolved": {
			arrange: func(f *fixture) { f.secrets.held[ourSecret] = held(otherAccount, otherToken, "") },
			request: func() *http.Request {
				return signed(publicURL, taskRouterPath, otherToken, with(acceptedForm(), "AccountSid", otherAccount))
			},
			status: 503, counted: []string{"callbacks_total taskrouter unavailable 1"},
			asked: []string{"support/twilio"},
		},
		"a payload of another account": {
			request: post(conversationsPath, with(timerForm(), "AccountSid", otherAccount)),
			status:  403, counted: []string{"callbacks_total conversations forbidden 1", "signature_failures_total account 1"},
		},
		"a payload of no account": {
			request: post(conversationsPath, with(timerForm(), "AccountSid", "-")),
			status:  403, counted: []string{"callbacks_total conversations forbidden 1", "signature_failures_total account 1"},
		},
		"a payload of another workspace": {
			request: post(taskRouterPath, with(acceptedForm(), "WorkspaceSid", otherSpace)),
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total workspace 1"},
		},
		"a payload of no workspace": {
			request: post(taskRouterPath, with(acceptedForm(), "WorkspaceSid", "-")),
			status:  403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total workspace 1"},
		},
		"a body that is no form, unsigned": {
			request: func() *http.Request {
				return signedBody(publicURL, taskRouterPath, "guess", acceptedForm(), "%zz=1")
			},
			status: 403, counted: []string{"callbacks_total taskrouter forbidden 1", "signature_failures_total mismatch 1"},
			asked: []string{"support/twilio"},
		},

		// What is authentic and makes no sense.
		"a form with a broken part beside signed ones": {
			request: func() *http.Request {
				return signedBody(publicURL, taskRouterPath, token, acceptedForm(), acceptedForm().Encode()+"&%zz=1")
			},
			status: 400, counted: []string{"callbacks_total taskrouter malformed 1"},
		},
		"no event type": {
			request: post(taskRouterPath, with(acceptedForm(), "EventType", "-")),
			status:  400, counted: []string{"callbacks_total taskrouter malformed 1"},
		},
		"no event type of a conversation": {
			request: post(conversationsPath, with(timerForm(), "EventType", "-")),
			status:  400, counted: []string{"callbacks_total conversations malformed 1"},
		},
		"two different task attributes": {
			request: func() *http.Request {
				form := acceptedForm()
				form.Add("TaskAttributes", "{}")
				return signed(publicURL, taskRouterPath, token, form)
			},
			status: 400, counted: []string{"callbacks_total taskrouter malformed 1"},
		},
		"no conversation": {
			request: post(conversationsPath, with(timerForm(), "ConversationSid", "-")),
			status:  400, counted: []string{"callbacks_total conversations malformed 1"},
		},
		"a conversation SID with a line break": {
			request: post(conversationsPath, with(timerForm(), "ConversationSid", conversation+"\r\n")),
			status:  400, counted: []string{"callbacks_total conversations malformed 1"},
		},
		"no new state": {
			request: post(conversationsPath, with(timerForm(), "StateTo", "-")),
			status:  400, counted: []string{"callbacks_total conversations malformed 1"},
		},

		// What is addressed to nobody.
		"an unknown workspace": {
			request: post("/v1/taskrouter/"+otherSpace, with(acceptedForm(), "WorkspaceSid", otherSpace)),
			status:  404, counted: []string{"callbacks_total taskrouter not_found 1"},
		},
		"an unknown workspace, and all else wrong too": {
			request: func() *http.Request {
				return httptest.NewRequest(http.MethodPost, "/v1/conversations/"+otherSpace, strings.NewReader(strings.Repeat("x", maxBodyBytes+1)))
			},
			status: 404, counted: []string{"callbacks_total conversations not_found 1"},
		},
		"another method": {
			request: func() *http.Request { return httptest.NewRequest(http.MethodGet, taskRouterPath, nil) },
			status:  405, counted: []string{"callbacks_total taskrouter method_not_allowed 1"},
		},

		// What is not even read.
		"JSON": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"a multipart form": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"no content type": {
			request: changed(func(r *http.Request) { r.Header.Del("Content-Type") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"two content types": {
			request: changed(func(r *http.Request) { r.Header.Add("Content-Type", formType) }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"a content type that cannot be read": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Type", formType+";;charset") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"another charset": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Type", formType+"; charset=utf-16") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"a compressed body": {
			request: changed(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }),
			status:  415, counted: []string{"callbacks_total taskrouter unsupported_media_type 1"},
		},
		"a body that is announced too large": {
			request: post(taskRouterPath, with(acceptedForm(), "WorkerAttributes", strings.Repeat("x", maxBodyBytes))),
			status:  413, counted: []string{"callbacks_total taskrouter too_large 1"},
		},
		"a body that is announced too large to be held in memory": {
			request: changed(func(r *http.Request) { r.ContentLength = 1 << 50 }),
			status:  413, counted: []string{"callbacks_total taskrouter too_large 1"},
		},
		"a body that turns out too large": {
			request: changed(func(r *http.Request) {
				r.ContentLength = -1
				r.Body = io.NopCloser(io.LimitReader(endless{}, 1<<30))
			}),
			status: 413, counted: []string{"callbacks_total taskrouter too_large 1"},
		},
		"more parameters than there are": {
			request: func() *http.Request {
				form := acceptedForm()
				form["x"] = make([]string, maxParameters)
				return signed(publicURL, taskRouterPath, token, form)
			},
			status: 413, counted: []string{"callbacks_total taskrouter too_large 1"},
		},
		"a body that breaks off": {
			request: changed(func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("a=b"), broken{})) }),
			status:  408, counted: []string{"callbacks_total taskrouter incomplete 1"},
		},

		// What comes too early.
		"the Secrets have not been read": {
			arrange: func(f *fixture) { f.secrets.unloaded = true },
			request: post(taskRouterPath, acceptedForm()),
			status:  503, counted: []string{"callbacks_total taskrouter unavailable 1"},
		},
		"the cache cannot be read": {
			arrange: func(f *fixture) { f.reader = brokenReader{} },
			request: post(taskRouterPath, acceptedForm()),
			status:  503, counted: []string{"callbacks_total taskrouter unavailable 1"},
		},
		"the Secret of the policy has not been read": {
			arrange: func(f *fixture) { f.secrets.held = map[types.NamespacedName]credentials.Credentials{} },
			request: post(taskRouterPath, acceptedForm()),
			status:  503, counted: []string{"callbacks_total taskrouter unavailable 1"},
			asked: []string{"support/twilio"},
		},
		"the policy has not been resolved": {
			arrange: policies(policy("support", "inactive", workspace, "")),
			request: post(taskRouterPath, acceptedForm()),
			status:  503, counted: []string{"callbacks_total taskrouter unavailable 1"},
			asked: []string{"support/twilio"},
		},
		"the queue is full": {
			arrange: func(f *fixture) { f.queue.full = true },
			request: post(conversationsPath, timerForm()),
			status:  503, counted: []string{"callbacks_total conversations unavailable 1"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			if test.arrange != nil {
				test.arrange(f)
			}
			response := f.answered(f.receiver(t), test.request())

			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d; log:\n%s", response.StatusCode, test.status, f.logged())
			}
			diff(t, "queued", test.queued, f.queue.all())
			diff(t, "counted", test.counted, f.counted(t))
			slices.Sort(f.secrets.asked)
			diff(t, "Secrets to be read again", test.asked, f.secrets.asked)
			checkForm(t, f, response)
		})
	}
}

// checkForm checks what holds for every answer.
func checkForm(t *testing.T, f *fixture, response *http.Response) {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q, want the one that TaskRouter asks for", got)
	}
	if got, want := response.Header.Get("Retry-After") != "", response.StatusCode == 503; got != want {
		t.Errorf("status %d with Retry-After: %v", response.StatusCode, got)
	}
	if got, want := response.Header.Get("Allow") == "POST", response.StatusCode == 405; got != want {
		t.Errorf("status %d with Allow: %v", response.StatusCode, got)
	}
	lines := strings.Count(f.logged(), "Refusing a callback")
	if response.StatusCode == 204 {
		if len(body) > 0 || f.logged() != "" {
			t.Errorf("an acknowledged callback has body %q and log %q, want neither", body, f.logged())
		}
	} else if lines != 1 || !bytes.HasPrefix(body, []byte(`{"error":"`)) {
		t.Errorf("a refused callback has body %q and %d lines in the log, want one", body, lines)
	}
	for _, hidden := range []string{token, otherToken, "+1555", "Zo", "agent@", conversation, "evil"} {
		if strings.Contains(f.logged(), hidden) || bytes.Contains(body, []byte(hidden)) {
			t.Errorf("log or answer shows %q:\n%s\n%s", hidden, f.logged(), body)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestPathTricks: the path must be the one that Twilio was given, to the letter. Every other one is answered like a path
// of an unknown workspace, so that nothing is learned from the difference.
func TestPathTricks(t *testing.T) {
	f := newFixture()
	f.public = publicURL + "/twilio"
	r := f.receiver(t)
	unknown := f.answered(r, signed(f.public, "/v1/taskrouter/"+otherSpace, token, acceptedForm()))
	want, _ := io.ReadAll(unknown.Body)

	for _, path := range []string{
		"/", "/twilio", "/twilio/", "/v1/taskrouter/", "/twilio/v1/taskrouter", "/twilio/v1/taskrouter/",
		taskRouterPath, // the prefix is missing
		"/twilio" + taskRouterPath + "/",
		"/twilio/" + taskRouterPath,
		"//twilio" + taskRouterPath,
		"/twilio/x/.." + taskRouterPath,
		"/twilio/./v1/taskrouter/" + workspace,
		"/twilio/v1/taskrouter/../taskrouter/" + workspace,
		"/twilio/v1%2ftaskrouter/" + workspace,
		"/twilio/v1%2Ftaskrouter%2F" + workspace,
		"/twilio/v1/taskrouter/" + workspace + "%2f",
		"/twilio/v1/taskrouter/" + workspace + "%00",
		"/twilio/v1/taskrouter/" + workspace + "%0d%0a",
		"/twilio/v1/taskrouter/" + workspace + ";a=b",
		"/twilio/v1/taskrouter/" + workspace + "/x",
		"/twilio/v1/taskrouter/%57" + workspace[1:],
		"/twilio/v1/taskrouter/" + strings.ToLower(workspace),
		"/twilio/v1/taskrouter/WS" + strings.Repeat("g", 32),
		"/twilio/v1/taskrouter/" + workspace[:33],
		"/twilio/V1/taskrouter/" + workspace,
		"/twilio/v2/taskrouter/" + workspace,
		"/twilio/v1/other/" + workspace,
		"/twiliov1/taskrouter/" + workspace,
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			request := signed(publicURL, path, token, acceptedForm())
			request.Method = method
			response := f.answered(r, request)
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != 404 || !bytes.Equal(body, want) {
				t.Errorf("%s %s: %d %s, want 404 %s", method, path, response.StatusCode, body, want)
			}
		}
	}
	if got := f.queue.all(); len(got) > 0 {
		t.Errorf("queued %v", got)
	}
}

// An event is a wake-up, so that a replayed one is harmless: it is taken again, and whoever handles it finds nothing to
// do.
func TestAReplayedRequestIsTakenAgain(t *testing.T) {
	f := newFixture()
	r := f.receiver(t)
	for range 2 {
		if got := f.answered(r, signed(publicURL, taskRouterPath, token, acceptedForm())).StatusCode; got != 204 {
			t.Fatalf("status %d, want 204", got)
		}
	}
	diff(t, "queued", append(wantAccepted(), wantAccepted()...), f.queue.all())
}

func TestAMissingPartOfTheReservationLeavesItOut(t *testing.T) {
	for name, form := range map[string]url.Values{
		"no task":                     with(acceptedForm(), "TaskSid", "-"),
		"a task that is none":         with(acceptedForm(), "TaskSid", "WT1"),
		"no reservation":              with(acceptedForm(), "ReservationSid", "-"),
		"a reservation that is none":  with(acceptedForm(), "ReservationSid", task),
		"no status":                   with(acceptedForm(), "TaskAssignmentStatus", "-"),
		"no time":                     with(acceptedForm(), "TimestampMs", "-", "Timestamp", "-"),
		"no queue":                    with(acceptedForm(), "TaskQueueSid", "-"),
		"a queue that is none":        with(acceptedForm(), "TaskQueueSid", "WQ1"),
		"a queue without a name":      with(acceptedForm(), "TaskQueueName", "-"),
		"two queues":                  twice(acceptedForm(), "TaskQueueName", "Nobody"),
		"two queue sids":              twice(acceptedForm(), "TaskQueueSid", "WQ"+account[2:]),
		"no priority":                 with(acceptedForm(), "TaskPriority", "-"),
		"two priorities":              twice(acceptedForm(), "TaskPriority", "4"),
		"a priority that is none":     with(acceptedForm(), "TaskPriority", "high"),
		"a priority below all":        with(acceptedForm(), "TaskPriority", "-1"),
		"a priority beyond all":       with(acceptedForm(), "TaskPriority", "2147483648"),
		"no age":                      with(acceptedForm(), "TaskAge", "-"),
		"two ages":                    twice(acceptedForm(), "TaskAge", "13"),
		"an age that is none":         with(acceptedForm(), "TaskAge", "PT12S"),
		"an age before the start":     with(acceptedForm(), "TaskAge", "-1"),
		"an age beyond all":           with(acceptedForm(), "TaskAge", "9223372037"),
		"a time that is none":         with(acceptedForm(), "TimestampMs", "x", "Timestamp", "2026-03-02"),
		"a time long ago":             with(acceptedForm(), "TimestampMs", "0"),
		"seconds for milliseconds":    with(acceptedForm(), "TimestampMs", "1772446500"),
		"a time too large for a time": with(acceptedForm(), "TimestampMs", "9223372036854775807"),
	} {
		f := newFixture()
		if got := f.answered(f.receiver(t), signed(publicURL, taskRouterPath, token, form)).StatusCode; got != 204 {
			t.Errorf("%s: status %d, want 204", name, got)
		}
		diff(t, name+": queued", wantTimer(), f.queue.all())
	}
}

func TestTheTimeOfAnEventInSeconds(t *testing.T) {
	f := newFixture()
	f.answered(f.receiver(t), signed(publicURL, taskRouterPath, token, with(acceptedForm(), "TimestampMs", "-")))
	if got := f.queue.all(); len(got) != 1 || got[0].Accepted == nil || !got[0].Accepted.At.Equal(time.Date(2026, 3, 2, 10, 15, 0, 0, time.UTC)) {
		t.Errorf("queued %+v, want an acceptance at 10:15:00", got)
	}
}

func TestATimerWithoutAReasonIsTaken(t *testing.T) {
	f := newFixture()
	f.answered(f.receiver(t), signed(publicURL, conversationsPath, token, with(timerForm(), "Reason", "-")))
	diff(t, "queued", wantTimer(), f.queue.all())
}

func TestTooManyTokens(t *testing.T) {
	f := newFixture()
	f.policies = nil
	for i := range maxTokens + 1 {
		name := types.NamespacedName{Namespace: "team-" + string(rune('a'+i)), Name: "twilio"}
		f.policies = append(f.policies, policy(name.Namespace, "inactive", workspace, account))
		f.secrets.held[name] = held(account, "token"+string(rune('a'+i)), "")
	}
	r := f.receiver(t)
	if got := f.answered(r, signed(publicURL, taskRouterPath, "tokena", acceptedForm())).StatusCode; got != 204 {
		t.Errorf("status %d for one of the first tokens, want 204", got)
	}
	last := "token" + string(rune('a'+maxTokens))
	if got := f.answered(r, signed(publicURL, taskRouterPath, last, acceptedForm())).StatusCode; got != 503 {
		t.Errorf("status %d for a token too many, want 503: it may be the right one", got)
	}
}

func TestTooManyRequestsAtATime(t *testing.T) {
	f := newFixture()
	r := f.receiver(t)
	for range maxRequests {
		r.handler.slots <- struct{}{}
	}
	if got := f.answered(r, signed(publicURL, taskRouterPath, token, acceptedForm())).StatusCode; got != 503 {
		t.Errorf("status %d while all slots are taken, want 503", got)
	}
	<-r.handler.slots
	if got := f.answered(r, signed(publicURL, taskRouterPath, token, acceptedForm())).StatusCode; got != 204 {
		t.Errorf("status %d after a slot became free, want 204", got)
	}
	if got := len(r.handler.slots); got != maxRequests-1 {
		t.Errorf("%d slots are taken after the request, want %d", got, maxRequests-1)
	}
}

func TestAFloodOfRefusedRequestsDoesNotFloodTheLog(t *testing.T) {
	f := newFixture()
	r := f.receiver(t)
	const flood = 10 * refusalLinesBurst
	for range flood {
		_ = f.answered(r, httptest.NewRequest(http.MethodGet, "/nowhere", nil)).Body.Close()
	}
	if lines := strings.Count(f.logged(), "Refusing a callback"); lines < refusalLinesBurst || lines > 2*refusalLinesBurst {
		t.Errorf("%d requests gave %d lines, want about %d", flood, lines, refusalLinesBurst)
	}
}
