package receiver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// The tests run in bubbles of testing/synctest, in which time stands still until everybody waits, over connections in
// memory. So the real time-outs are tested without waiting for them.

// memoryListener accepts connections in memory.
type memoryListener struct {
	connections chan net.Conn
	once        sync.Once
	closed      chan struct{}
}

func newMemoryListener() *memoryListener {
	return &memoryListener{connections: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case connection := <-l.connections:
		return connection, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8082} }

func (l *memoryListener) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case l.connections <- theirs:
	case <-l.closed:
		t.Fatal("the listener is closed")
	}
	return ours
}

// serving is a receiver that serves.
type serving struct {
	*fixture
	receiver *Receiver
	listener *memoryListener
	stop     context.CancelFunc
	ended    chan error
}

func (f *fixture) serve(t *testing.T) *serving {
	t.Helper()
	s := &serving{fixture: f, listener: newMemoryListener(), ended: make(chan error, 1)}
	options := f.options(t)
	options.Listener, options.BindAddress = s.listener, ""
	var err error
	if s.receiver, err = New(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.logging(t.Context()))
	s.stop = cancel
	go func() { s.ended <- s.receiver.Start(ctx) }()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		<-s.ended //nolint:errcheck // what it ended with is for the test to judge
	})
	return s
}

func (s *serving) ready() error {
	return s.receiver.Ready(httptest.NewRequest(http.MethodGet, "/readyz", nil))
}

// send writes a whole request over a new connection and returns the answer's status.
func (s *serving) send(t *testing.T) int {
	t.Helper()
	connection := s.listener.dial(t)
	defer func() { _ = connection.Close() }()
	return roundTrip(t, connection)
}

func roundTrip(t *testing.T, connection net.Conn) int {
	t.Helper()
	request := signed(publicURL, taskRouterPath, token, acceptedForm())
	go func() { _ = request.Write(connection) }() // its failure shows in the answer
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestStartServesUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		if s.receiver.NeedLeaderElection() {
			t.Error("the receiver waits for leadership, but every replica receives callbacks")
		}
		if err := s.ready(); err != nil {
			t.Errorf("Ready() = %v, want nil", err)
		}
		if got := s.send(t); got != 204 {
			t.Errorf("status %d, want 204", got)
		}

		// Told to stop, it says so and goes on serving for the drain delay.
		begin := time.Now()
		s.stop()
		synctest.Wait()
		if err := s.ready(); err == nil || err.Error() != "the receiver is draining" {
			t.Errorf("Ready() = %v while it drains", err)
		}
		<-time.After(DefaultDrainDelay - time.Nanosecond)
		if got := s.send(t); got != 204 {
			t.Errorf("status %d at the end of the drain delay, want 204", got)
		}
		err := <-s.ended
		s.ended <- err
		if err != nil {
			t.Errorf("Start() = %v, want nil", err)
		}
		if took := time.Since(begin); took != DefaultDrainDelay {
			t.Errorf("stopped after %v, want %v", took, DefaultDrainDelay)
		}
		if err := s.ready(); err == nil {
			t.Error("ready after the end")
		}
		select {
		case <-s.listener.closed:
		default:
			t.Error("the listener is still open after the end")
		}
		diff(t, "queued", append(wantAccepted(), wantAccepted()...), s.queue.all())
	})
}

// slowQueue holds a request up until it is released.
type slowQueue struct {
	queue
	entered, release chan struct{}
}

func (q *slowQueue) Enqueue(workspaceSID, conversationSID string, accepted *inactivity.Acceptance) bool {
	close(q.entered)
	<-q.release
	return q.queue.Enqueue(workspaceSID, conversationSID, accepted)
}

func TestRequestsUnderWayAreFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		slow := &slowQueue{entered: make(chan struct{}), release: make(chan struct{})}
		options := f.options(t)
		listener := newMemoryListener()
		options.Listener, options.Queue, options.DrainDelay = listener, slow, -1
		r, err := New(options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(f.logging(t.Context()))
		ended := make(chan error)
		go func() { ended <- r.Start(ctx) }()

		answered := make(chan int)
		go func() { answered <- roundTrip(t, listener.dial(t)) }()
		<-slow.entered
		cancel()
		synctest.Wait()
		select {
		case <-listener.closed:
		default:
			t.Error("new connections are accepted after a drain delay of nothing")
		}
		close(slow.release)
		if got := <-answered; got != 204 {
			t.Errorf("status %d for a request under way, want 204", got)
		}
		if err := <-ended; err != nil {
			t.Errorf("Start() = %v, want nil", err)
		}
	})
}

func TestAStuckRequestDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		slow := &slowQueue{entered: make(chan struct{}), release: make(chan struct{})}
		options := f.options(t)
		listener := newMemoryListener()
		options.Listener, options.Queue, options.DrainDelay = listener, slow, -1
		r, err := New(options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(f.logging(t.Context()))
		ended := make(chan error)
		go func() { ended <- r.Start(ctx) }()
		connection := listener.dial(t)
		request := signed(publicURL, taskRouterPath, token, acceptedForm())
		go func() { _ = request.Write(connection) }()
		<-slow.entered

		begin := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for callbacks under way") {
			t.Errorf("Start() = %v, want an error that says what it waited for", err)
		}
		// Shutdown polls, with a jitter, and may notice its deadline a moment late.
		if took := time.Since(begin); took < shutdownTimeout || took > shutdownTimeout+time.Second {
			t.Errorf("gave up after %v, want %v", took, shutdownTimeout)
		}
		close(slow.release)
	})
}

func TestASlowBodyIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		connection := s.listener.dial(t)
		begin := time.Now()
		go func() {
			_, _ = connection.Write([]byte("POST " + taskRouterPath + " HTTP/1.1\r\nHost: h\r\nContent-Type: " + formType +
				"\r\nContent-Length: 1000\r\n" + signature.Header + ": x\r\n\r\nEventType="))
		}()
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 408 || !response.Close {
			t.Errorf("status %d, connection closed: %v; want 408 and closed", response.StatusCode, response.Close)
		}
		if took := time.Since(begin); took != readTimeout {
			t.Errorf("given up after %v, want %v", took, readTimeout)
		}
		diff(t, "counted", []string{"callbacks_total taskrouter incomplete 1"}, s.counted(t))
		if got := len(s.receiver.handler.slots); got != 0 {
			t.Errorf("%d slots are still taken", got)
		}
	})
}

func TestASlowHeaderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		connection := s.listener.dial(t)
		begin := time.Now()
		go func() { _, _ = connection.Write([]byte("POST " + taskRouterPath + " HTTP/1.1\r\nHost:")) }()
		if response, err := http.ReadResponse(bufio.NewReader(connection), nil); err == nil {
			_ = response.Body.Close()
			t.Errorf("status %d, want no answer", response.StatusCode)
		}
		if took := time.Since(begin); took != headerTimeout {
			t.Errorf("given up after %v, want %v", took, headerTimeout)
		}
	})
}

func TestALargeHeaderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		connection := s.listener.dial(t)
		go func() {
			// net/http allows some 4 KiB more than it is told.
			_, _ = connection.Write([]byte("POST " + taskRouterPath + " HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", maxHeaderBytes+8<<10) + "\r\n\r\n"))
		}()
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 431 {
			t.Errorf("status %d, want 431", response.StatusCode)
		}
	})
}

// A line break in a header's value would begin another header.
func TestALineBreakInAHeaderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		connection := s.listener.dial(t)
		go func() {
			_, _ = connection.Write([]byte("POST " + taskRouterPath + " HTTP/1.1\r\nHost: h\r\n" + signature.Header + ": a\rb\r\nContent-Length: 0\r\n\r\n"))
		}()
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 400 {
			t.Errorf("status %d, want 400", response.StatusCode)
		}
	})
}

func TestAnIdleConnectionIsKeptForProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture().serve(t)
		connection := s.listener.dial(t)
		for range 2 {
			if got := roundTrip(t, connection); got != 204 {
				t.Errorf("status %d, want 204", got)
			}
			<-time.After(idleTimeout - time.Second)
		}
		begin := time.Now()
		if _, err := connection.Read(make([]byte, 1)); err == nil {
			t.Error("read something from an idle connection")
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("an idle connection was closed %v later, want %v", took, time.Second)
		}
	})
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		before := f.receiver(t)
		if err := before.Ready(httptest.NewRequest(http.MethodGet, "/readyz", nil)); err == nil || err.Error() != "the receiver is not listening yet" {
			t.Errorf("Ready() = %v before the start", err)
		}

		f = newFixture()
		f.secrets.unloaded = true
		if err := f.serve(t).ready(); err == nil || err.Error() != "the Secrets of the policies have not been read yet" {
			t.Errorf("Ready() = %v before the Secrets were read", err)
		}

		f = newFixture()
		f.reader = brokenReader{}
		if err := f.serve(t).ready(); err == nil || !strings.HasPrefix(err.Error(), "the policies cannot be read yet: ") {
			t.Errorf("Ready() = %v while the cache cannot be read", err)
		}
	})
}

func TestStartFailsWhenItCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	f := newFixture()
	options := f.options(t)
	options.BindAddress = taken.Addr().String()
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listening for callbacks on 127.0.0.1:") {
		t.Errorf("Start() = %v, want an error that names the address", err)
	}
}

func TestStartEndsWhenTheListenerFails(t *testing.T) {
	for name, draining := range map[string]bool{"while serving": false, "while draining": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFixture().serve(t)
				if draining {
					s.stop()
					synctest.Wait()
				}
				_ = s.listener.Close()
				err := <-s.ended
				s.ended <- err
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Start() = %v, want an error that wraps %v", err, net.ErrClosed)
				}
			})
		})
	}
}

// TestOverARealConnection is the one test that leaves the bubble.
func TestOverARealConnection(t *testing.T) {
	f := newFixture()
	options := f.options(t)
	options.DrainDelay = -1
	var err error
	if options.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.logging(t.Context()))
	defer cancel()
	ended := make(chan error)
	go func() { ended <- r.Start(ctx) }()

	request := signed(publicURL, taskRouterPath, token, acceptedForm())
	request.RequestURI, request.URL.Host = "", options.Listener.Addr().String()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 204 {
		t.Errorf("status %d, want 204", response.StatusCode)
	}
	diff(t, "queued", wantAccepted(), f.queue.all())
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Start() = %v, want nil", err)
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	for name, remove := range map[string]func(*Options){
		"public URL": func(o *Options) { o.PublicURL = nil },
		"address":    func(o *Options) { o.BindAddress = "" },
		"policies":   func(o *Options) { o.Policies = nil },
		"secrets":    func(o *Options) { o.Secrets = nil },
		"queue":      func(o *Options) { o.Queue = nil },
		"forwarder":  func(o *Options) { o.Forwarder = nil },
		"metrics":    func(o *Options) { o.Metrics = nil },
	} {
		options := newFixture().options(t)
		remove(&options)
		if _, err := New(options); err == nil {
			t.Errorf("New() without %s: want an error", name)
		}
	}
}
