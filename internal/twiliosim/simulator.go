package twiliosim

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// Options configure a Simulator. The zero value is a working simulator on real time with fixed credentials.
type Options struct {
	// Clock is the simulator's time: real when nil, a fake one in tests. Everything that Twilio dates or times follows
	// it, the Date header of answers included. Only the time-outs of an HTTP exchange with a callback endpoint are
	// measured in real time, because an exchange takes no time on a fake clock.
	Clock clock.WithTicker
	// AccountSID is the account that is played; when empty one is made up (the same in every run).
	AccountSID string
	// AuthToken is the account's primary token: it authenticates REST requests and signs callbacks. When empty one is
	// made up (the same in every run).
	AuthToken string
	// APIKeySID and APIKeySecret are a second way to authenticate REST requests; they never sign.
	APIKeySID, APIKeySecret string
	// WorkspaceName names the Flex workspace; "Flex Task Assignment" when empty, as Flex itself names it.
	WorkspaceName string
	// Logf, when set, gets one line for each request, callback and timer.
	Logf func(format string, args ...any)
	// CallbackClient delivers callbacks; when nil, a client that follows no redirects. Its time-out should be unset:
	// the simulator bounds every delivery itself. A transport that makes no connections should give up when the request's
	// context is done, and call GotConn of its httptrace.ClientTrace first of all: what comes before counts as connecting,
	// whose limit and retries are others than those of the answer.
	CallbackClient *http.Client
	// Dialect is how what Twilio's documentation leaves open is read.
	Dialect Dialect
}

// Simulator plays one Twilio account. Its methods are safe for concurrent use.
type Simulator struct {
	opts   Options
	clock  clock.WithTicker
	client *http.Client

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{}

	mu sync.Mutex
	// idle is signaled when a delivery ends, for WaitIdle.
	idle *sync.Cond
	// now is the moment at which state is being changed: the clock's, or the deadline's while a timer fires late.
	now       time.Time
	deadlines deadlineHeap
	sequence  int64 // orders resources, deadlines and SIDs
	closed    bool

	accountSID, authToken   string
	secondaryToken          string // empty: there is none
	apiKeySID, apiKeySecret string

	account       *account
	workspaces    table[*workspace]
	conversations table[*conversation]
	interactions  map[string]*interaction
	reservations  map[string]*reservation
	bindings      map[binding]*conversation

	outbox    map[string][]*delivery
	inFlight  int
	callbacks int             // so far, for Dialect.Deliveries
	started   <-chan struct{} // closed when the key queued last lets the next one start
	requests  atomic.Int64    // being served now, for Twilio-Concurrent-Requests
	answered  int             // REST requests so far, for Twilio-Request-Id

	journal []Entry
	faults  []*fault
}

// New makes a simulator of a fresh Flex account: one workspace with its queue, workflow and agents, no conversation.
// It runs goroutines until Close.
func New(opts Options) *Simulator {
	s := &Simulator{
		opts:         opts,
		clock:        opts.Clock,
		client:       opts.CallbackClient,
		wake:         make(chan struct{}, 1),
		accountSID:   opts.AccountSID,
		authToken:    opts.AuthToken,
		apiKeySID:    opts.APIKeySID,
		apiKeySecret: opts.APIKeySecret,
		interactions: map[string]*interaction{},
		reservations: map[string]*reservation{},
		bindings:     map[binding]*conversation{},
		outbox:       map[string][]*delivery{},
	}
	s.idle = sync.NewCond(&s.mu)
	nothing := make(chan struct{})
	close(nothing)
	s.started = nothing
	if s.clock == nil {
		s.clock = clock.RealClock{}
	}
	if s.client == nil {
		s.client = newCallbackClient()
	}
	if s.accountSID == "" {
		s.accountSID = "AC" + digest("account")
	}
	if s.authToken == "" {
		s.authToken = digest("auth token")
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.now = s.clock.Now()

	s.mu.Lock()
	s.account = s.newAccount()
	name := opts.WorkspaceName
	if name == "" {
		name = defaultWorkspaceName
	}
	s.account.flexWorkspace = s.newWorkspace(name)
	s.mu.Unlock()

	s.wg.Go(s.runTimers)
	return s
}

// Close stops timers and deliveries, waits for the simulator's goroutines and makes the handler refuse requests with
// 503. It may be called more than once.
func (s *Simulator) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.client.CloseIdleConnections()
}

// AccountSID is the SID of the account that is played.
func (s *Simulator) AccountSID() string { return s.accountSID }

// AuthToken is the account's present auth token.
func (s *Simulator) AuthToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authToken
}

// SetAuthToken rotates the account's auth token: from now on only the new one authenticates and it signs callbacks,
// also those that are retried.
func (s *Simulator) SetAuthToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authToken = token
}

// SetSecondaryAuthToken creates a secondary auth token. It authenticates beside the primary one, which goes on signing
// callbacks, until it is promoted: https://www.twilio.com/docs/iam/api/authtoken
func (s *Simulator) SetSecondaryAuthToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secondaryToken = token
}

// PromoteAuthToken makes the secondary token the primary one, and invalidates the one before.
func (s *Simulator) PromoteAuthToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authToken, s.secondaryToken = s.secondaryToken, ""
}

// WorkspaceSID is the SID of the Flex workspace, which exists from the start.
func (s *Simulator) WorkspaceSID() string { return s.account.flexWorkspace.sid }

// lock takes the state and brings it up to the present moment: every timer that is due has fired when it returns.
func (s *Simulator) lock() {
	s.mu.Lock()
	s.settle()
}

func (s *Simulator) logf(format string, args ...any) {
	if s.opts.Logf != nil {
		s.opts.Logf(format, args...)
	}
}
