//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// probePeriod is how often the balancer asks a replica whether it is ready, and how long the answer may take. One failure is
// enough. A Service of Kubernetes is quicker for a pod that is being deleted, which it drops without asking.
const probePeriod = time.Second

// backend is a replica as the balancer sees it.
type backend struct {
	name, receiver, health string
	ready                  atomic.Bool
	gone                   context.CancelFunc
}

// balancer stands for the Ingress and the Service: it hands each callback to one of the replicas that were ready when they
// were last asked, in turn, and tries none twice.
type balancer struct {
	url    string
	server *http.Server
	client http.Client

	mu       sync.Mutex
	backends []*backend
	next     int
	// answers counts by who asked and what became of it.
	answers map[string]map[string]int
	// genuine are some of Twilio's own callbacks, to be replayed.
	genuine []callback
}

// callback is a request that the balancer has seen.
type callback struct {
	path, signature string
	body            []byte
}

// The balancer's own outcomes, beside the status of an answer.
const (
	outcomeNobody = "no replica ready"
	outcomeFailed = "connection failed"
)

// sourceHeader names who sends a callback; Twilio does not have it.
const sourceHeader = "X-Chaos-Source"

const sourceTwilio = "Twilio"

func newBalancer() (*balancer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the balancer: %w", err)
	}
	b := &balancer{url: "http://" + listener.Addr().String(), answers: map[string]map[string]int{}}
	b.client.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	b.server = &http.Server{Handler: b}
	go func() { _ = b.server.Serve(listener) }()
	return b, nil
}

// add begins to ask a replica whether it is ready.
func (b *balancer) add(one *backend) {
	ctx, cancel := context.WithCancel(context.Background())
	one.gone = cancel
	b.mu.Lock()
	b.backends = append(b.backends, one)
	b.mu.Unlock()
	go func() {
		prober := http.Client{Timeout: probePeriod, Transport: &http.Transport{DisableKeepAlives: true}}
		tick := time.NewTicker(probePeriod)
		defer tick.Stop()
		for {
			answer, err := prober.Get("http://" + one.health + "/readyz")
			if err == nil {
				_ = answer.Body.Close()
			}
			one.ready.Store(err == nil && answer.StatusCode == http.StatusOK)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// drop forgets a replica whose process has ended.
func (b *balancer) drop(one *backend) {
	one.gone()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = slices.DeleteFunc(b.backends, func(known *backend) bool { return known == one })
}

// pick is the replica whose turn it is; nil when none is ready.
func (b *balancer) pick() *backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.backends {
		b.next++
		if one := b.backends[b.next%len(b.backends)]; one.ready.Load() {
			return one
		}
	}
	return nil
}

// ServeHTTP passes a callback on.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := r.Header.Get(sourceHeader)
	if source == "" {
		source = sourceTwilio
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has gone
	}
	one := b.pick()
	if one == nil {
		b.count(source, outcomeNobody)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	passed, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+one.receiver+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	passed.GetBody = nil // nothing is tried a second time behind our back
	passed.Header = r.Header.Clone()
	answer, err := b.client.Do(passed)
	if err != nil {
		b.count(source, outcomeFailed)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	b.count(source, fmt.Sprint(answer.StatusCode))
	if source == sourceTwilio {
		b.keep(callback{r.URL.Path, r.Header.Get("X-Twilio-Signature"), body})
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

func (b *balancer) count(source, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers[source] == nil {
		b.answers[source] = map[string]int{}
	}
	b.answers[source][outcome]++
}

// keptCallbacks is how many callbacks are kept for replays.
const keptCallbacks = 100

func (b *balancer) keep(one callback) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.genuine) < keptCallbacks {
		b.genuine = append(b.genuine, one)
	}
}

// seen are the answers so far.
func (b *balancer) seen(source string) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.answers[source])
}

func (b *balancer) replays() []callback {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.genuine)
}

// readyCount is how many replicas are ready.
func (b *balancer) readyCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, one := range b.backends {
		if one.ready.Load() {
			count++
		}
	}
	return count
}

func (b *balancer) close() {
	b.mu.Lock()
	for _, one := range b.backends {
		one.gone()
	}
	b.mu.Unlock()
	_ = b.server.Close()
	b.client.CloseIdleConnections()
}
