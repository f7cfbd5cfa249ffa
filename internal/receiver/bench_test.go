package receiver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// cachedPolicies lists policies as the manager's cache does: without a copy of each. The fake client encodes and decodes
// them on every call.
type cachedPolicies []runtime.Object

func (c cachedPolicies) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("only lists are expected")
}

func (c cachedPolicies) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	return meta.SetList(list, c)
}

// endlessQueue takes everything and keeps nothing.
type endlessQueue struct{}

func (endlessQueue) Enqueue(string, string, *inactivity.Acceptance) bool { return true }

// BenchmarkCallback compares the receiver with a bare handler that reads the body and answers 204, over the same server
// and connections. Signed callbacks of 2 KB should reach 0.6 of its throughput.
func BenchmarkCallback(b *testing.B) {
	form := with(acceptedForm(), "WorkerAttributes", `{"routing":"`+strings.Repeat("x", 800)+`"}`)
	body := form.Encode()
	signed := signature.Compute(token, publicURL+taskRouterPath, form)

	options := newFixture().options(b)
	options.Policies, options.Queue = cachedPolicies{policy("support", "inactive", workspace, account)}, endlessQueue{}
	r, err := New(options)
	if err != nil {
		b.Fatal(err)
	}
	handlers := map[string]http.Handler{
		"bare": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
		}),
		"receiver": r,
	}
	for _, name := range []string{"bare", "receiver"} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(handlers[name])
			defer server.Close()
			caller := server.Client()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					request, err := http.NewRequest(http.MethodPost, server.URL+taskRouterPath, strings.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					request.Header.Set("Content-Type", formType)
					request.Header.Set(signature.Header, signed)
					response, err := caller.Do(request)
					if err != nil {
						b.Error(err)
						return
					}
					_ = response.Body.Close()
					if response.StatusCode != http.StatusNoContent {
						b.Errorf("status %d, want 204", response.StatusCode)
						return
					}
				}
			})
		})
	}
}
