//go:build chaos

package chaos

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
)

// exchanges hands requests to the simulator one after the other, and keeps who sent them in the order in which they took
// effect: that of the requests in the simulator's journal.
type exchanges struct {
	twilio http.Handler

	mu   sync.Mutex
	from []string
}

// do has the simulator carry a request out. Its answer is kept apart, so that nobody who reads slowly, such as a stopped
// process, holds the simulator up.
func (x *exchanges) do(from string, r *http.Request) (*httptest.ResponseRecorder, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.from = append(x.from, from)
	x.twilio.ServeHTTP(answer, r) // panics when a fault drops the connection, which is journaled like an answer
	return answer, nil
}

// senders are who sent the requests in the journal, in their order.
func (x *exchanges) senders() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.from)
}

// How a gate is cut.
const (
	cutRefuse = "refused"    // nobody listens
	cutReset  = "reset"      // every connection is reset, those that stand included
	cutHang   = "unanswered" // connections stand, and no request is answered or carried out
)

// gate is one replica's way to Twilio: an address of its own, which can be cut and can lose answers.
type gate struct {
	name      string
	address   string
	exchanges *exchanges
	// lose draws whether a write's answer is lost; it is shared by all gates.
	lose *loser

	mu     sync.Mutex
	server *http.Server
	conns  map[net.Conn]struct{}
	how    string        // how it is cut; "": it is open
	mended chan struct{} // closed when it is open again
}

// loser draws which answers get lost.
type loser struct {
	mu   sync.Mutex
	draw *rand.Rand
	// share is the share of writes whose answer is lost.
	share float64
	lost  int
}

func (l *loser) set(share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = share
}

func (l *loser) takes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.share == 0 || !chance(l.draw, l.share) {
		return false
	}
	l.lost++
	return true
}

func newGate(name string, x *exchanges, lose *loser) (*gate, error) {
	g := &gate{name: name, exchanges: x, lose: lose, conns: map[net.Conn]struct{}{}}
	return g, g.open("127.0.0.1:0")
}

// open listens. The caller is the only one who knows the gate, or holds its state.
func (g *gate) open(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("opening the gate of %s: %w", g.name, err)
	}
	g.address = listener.Addr().String()
	g.server = &http.Server{Handler: g, ConnState: g.track}
	go func(server *http.Server) { _ = server.Serve(listener) }(g.server)
	return nil
}

// track keeps the connections, and resets new ones while the gate is cut so.
func (g *gate) track(conn net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch state {
	case http.StateNew:
		if g.how == cutReset {
			reset(conn)
			return
		}
		g.conns[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(g.conns, conn)
	case http.StateActive, http.StateIdle:
	}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed then is reset
	}
	_ = conn.Close()
}

// ServeHTTP carries a request out, unless the gate is cut.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	how, mended := g.how, g.mended
	g.mu.Unlock()
	if how != "" {
		select {
		case <-mended:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	answer, err := g.exchanges.do(g.name, r)
	if err != nil || r.Method != http.MethodGet && g.lose.takes() {
		panic(http.ErrAbortHandler) // the connection is closed without an answer
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// cut cuts the replica off, until mend.
func (g *gate) cut(how string) {
	g.mu.Lock()
	if g.how != "" || g.server == nil {
		g.mu.Unlock()
		return
	}
	g.how, g.mended = how, make(chan struct{})
	server := g.server
	if how == cutReset {
		for conn := range g.conns {
			reset(conn)
		}
	}
	g.mu.Unlock()
	if how == cutRefuse {
		_ = server.Close()
	}
}

// mend opens the gate again.
func (g *gate) mend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.how == "" || g.server == nil {
		return nil
	}
	how := g.how
	g.how = ""
	close(g.mended)
	if how == cutRefuse {
		return g.open(g.address)
	}
	return nil
}

// close ends the gate.
func (g *gate) close() {
	_ = g.mend()
	g.mu.Lock()
	server := g.server
	g.server = nil
	g.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}
