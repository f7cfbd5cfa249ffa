package receiver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// readings counts the Secrets that are read.
type readings struct {
	client.Reader
	count atomic.Int64
}

func (r *readings) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	r.count.Add(1)
	return r.Reader.Get(ctx, key, object, options...)
}

// forgeries are requests of all kinds that anybody can send; each is unlike all others.
var forgeries = []func(random *rand.Rand) []byte{
	func(random *rand.Rand) []byte { // an unknown workspace
		return forged(fmt.Sprintf("/v1/taskrouter/WS%016x%016x", random.Uint64(), random.Uint64()), random, 2<<10)
	},
	func(random *rand.Rand) []byte { return forged(taskRouterPath, random, 60<<10) },     // as large as it may be
	func(random *rand.Rand) []byte { return forged(conversationsPath, random, 200<<10) }, // larger
	func(random *rand.Rand) []byte { return forged(fmt.Sprintf("/%x", random.Uint64()), random, 100) },
	func(random *rand.Rand) []byte { // an address that nobody was given
		return forged(conversationsPath+fmt.Sprintf("?q=%x", random.Uint64()), random, 200)
	},
}

// forged is a request with a random signature and body.
func forged(target string, random *rand.Rand, size int) []byte {
	form := url.Values{"AccountSid": {account}, fmt.Sprintf("P%x", random.Uint64()): {strings.Repeat("x", size)}}
	body := form.Encode()
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s: %x\r\n\r\n%s",
		target, formType, len(body), signature.Header, random.Uint64(), body)
	return request.Bytes()
}

// flood sends forged requests over many connections, and returns the most heap and goroutines that were seen meanwhile.
func flood(t *testing.T, address string, seed uint64, connections, requests int) (heap uint64, goroutines int) {
	t.Helper()
	var senders sync.WaitGroup
	for i := range connections {
		senders.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a flood is no secret
			var connection net.Conn
			defer func() {
				if connection != nil {
					_ = connection.Close()
				}
			}()
			for range requests / connections {
				if connection == nil {
					var err error
					if connection, err = new(net.Dialer).DialContext(t.Context(), "tcp", address); err != nil {
						t.Error(err)
						return
					}
				}
				request := forgeries[random.IntN(len(forgeries))](random)
				_, sendErr := connection.Write(request)
				response, err := http.ReadResponse(bufio.NewReader(connection), nil)
				if err == nil {
					_ = response.Body.Close()
					if response.StatusCode < 400 {
						t.Errorf("a forged callback was answered with %d", response.StatusCode)
					}
				}
				if err != nil || sendErr != nil || response.Close {
					_ = connection.Close()
					connection = nil
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { senders.Wait(); close(over) }()
	for {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		heap, goroutines = max(heap, memory.HeapInuse), max(goroutines, runtime.NumGoroutine())
		select {
		case <-over:
			return heap, goroutines
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// left is the heap that is still in use, and the goroutines that run, when all connections are gone.
func left(t *testing.T, goroutines int) (heap uint64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines run after the flood, %d before", now, goroutines)
	}
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc
}

func TestAFloodOfForgedCallbacksLeavesNothingBehind(t *testing.T) {
	const connections, requests = 64, 1600
	f := newFixture()
	f.policies = append(f.policies, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ourSecret.Namespace, Name: ourSecret.Name},
		Data:       map[string][]byte{"accountSid": []byte(account), "authToken": []byte(strings.Repeat("a", 32))},
	})
	options := f.options(t)
	secrets := &readings{Reader: f.reader}
	store := credentials.NewStore(credentials.Options{Secrets: secrets, Policies: f.reader})
	options.Policies = cachedPolicies{policy("support", "inactive", workspace, account)}
	options.Secrets = known{store}
	options.DrainDelay = -1
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options.Listener, options.BindAddress = listener, ""
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.logging(context.Background()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := store.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	for r.Ready(httptest.NewRequest(http.MethodGet, "/readyz", nil)) != nil {
		runtime.Gosched()
	}

	begun := time.Now()
	quiet := runtime.NumGoroutine()
	flood(t, listener.Addr().String(), 0, connections, requests/4) // what grows once, such as pools, has grown
	small := left(t, quiet)
	counted := f.counted(t)
	series := len(counted)
	if !slices.ContainsFunc(counted, func(one string) bool { return strings.HasPrefix(one, "signature_failures_total mismatch ") }) {
		t.Errorf("no signature was looked at: %q", counted)
	}
	peak, most := flood(t, listener.Addr().String(), 1, connections, requests/4)
	longPeak, longMost := flood(t, listener.Addr().String(), 2, connections, requests)
	large := left(t, quiet)
	took := time.Since(begun)
	t.Logf("heap after %d and %d requests: %d and %d KiB; most during them: %d and %d KiB; goroutines: %d and %d",
		requests/4, requests, small>>10, large>>10, peak>>10, longPeak>>10, most, longMost)

	const slack = 1 << 20
	if large > small+small/4+slack {
		t.Errorf("%d KiB are left after a flood, %d after a shorter one", large>>10, small>>10)
	}
	if longPeak > 2*peak+slack {
		t.Errorf("%d KiB in use during a long flood, %d during a shorter one", longPeak>>10, peak>>10)
	}
	// Of a connection: this sender, the server's goroutine, and the one that reads ahead.
	if bound := quiet + 1 + 3*connections; longMost > bound+8 {
		t.Errorf("%d goroutines during the flood, want %d at most", longMost, bound)
	}
	if got := len(f.counted(t)); got > series {
		t.Errorf("%d series after the flood, %d before", got, series)
	}
	if lines, most := strings.Count(f.logged(), "\n"), refusalLinesBurst+int(took/time.Second)*refusalLines+10; lines > most {
		t.Errorf("%d lines were logged in %s, want %d at most", lines, took, most)
	}
	// One at the start, one a minute, and one in ten seconds for the refused signatures.
	if reads, most := secrets.count.Load(), 2+int64(took/(10*time.Second))+int64(took/time.Minute); reads > most {
		t.Errorf("the Secret was read %d times in %s, want %d at most", reads, took, most)
	}
	if queued := f.queue.all(); len(queued) > 0 {
		t.Errorf("queued: %v", queued)
	}
}

// known is a store whose Secret has a token, although nobody has written one.
type known struct{ *credentials.Store }

func (known) Get(types.NamespacedName) (credentials.Credentials, bool) {
	return held(account, token, ""), true
}

func TestNoMoreConnectionsAreOpenThanMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		open := make([]net.Conn, 0, maxConnections)
		for range maxConnections {
			open = append(open, s.listener.dial(t))
		}
		synctest.Wait()
		served := make(chan int)
		go func() { served <- s.send(t) }()
		synctest.Wait()
		select {
		case <-served:
			t.Fatalf("served beside %d connections", maxConnections)
		default:
		}
		_ = open[0].Close()
		if got := <-served; got != http.StatusNoContent {
			t.Errorf("status %d once a connection is free, want 204", got)
		}
		for _, connection := range open[1:] {
			_ = connection.Close()
		}
	})
}

func TestWhoeverCannotSignKeepsNoConnection(t *testing.T) {
	f := newFixture()
	r := f.receiver(t)
	for status, request := range map[int]*http.Request{
		http.StatusForbidden: signed(publicURL, taskRouterPath, otherToken, acceptedForm()),
		http.StatusNotFound:  signed(publicURL, "/v1/taskrouter/"+otherSpace, token, acceptedForm()),
		http.StatusNoContent: signed(publicURL, taskRouterPath, token, acceptedForm()),
	} {
		response := f.answered(r, request)
		_ = response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("status %d, want %d", response.StatusCode, status)
		}
		if closes := response.Header.Get("Connection") == "close"; closes != (status != http.StatusNoContent) {
			t.Errorf("status %d closes the connection: %t", status, closes)
		}
	}
}
