package twilio

import (
	"container/list"
	"crypto/hmac"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	sdk "github.com/twilio/twilio-go/client"
)

// Options configure a [Pool]. The zero value is ready for production.
type Options struct {
	// BaseURL, scheme, host, optional port and path prefix, replaces the hosts of every product; for a simulator or a
	// gateway. Empty means https://{product}[.{edge}.{region}].twilio.com.
	BaseURL string
	// Transport carries the requests. Nil means a clone of http.DefaultTransport tuned for many calls to few hosts; its
	// proxy settings come from the environment.
	Transport http.RoundTripper
	// UserAgent names the program; the versions of twilio-go and Go are added. Empty means [DefaultUserAgent].
	UserAgent string
	// Observer is told of every attempt: the operation (the method's name), the HTTP status or 0 when there was no
	// complete answer, and how long it took. It must be safe for concurrent use and quick.
	Observer func(operation string, status int, elapsed time.Duration)
	// RequestsPerSecond, Burst and MaxConcurrent limit the attempts per account SID. Zero means
	// [DefaultRequestsPerSecond], [DefaultBurst] and [DefaultMaxConcurrent].
	RequestsPerSecond float64
	Burst             int
	MaxConcurrent     int
	// RequestTimeout bounds one attempt. Zero means [DefaultRequestTimeout].
	RequestTimeout time.Duration
	// Clock is the time to live in. Nil means the clock on the wall.
	Clock Clock
	// Random gives numbers in [0, 1) to spread waits by. It must be safe for concurrent use. Nil means those of math/rand.
	Random func() float64
}

// withDefaults fills what is unset and refuses what cannot be meant.
func (o Options) withDefaults() (Options, error) {
	if o.RequestsPerSecond < 0 || math.IsNaN(o.RequestsPerSecond) || o.Burst < 0 || o.MaxConcurrent < 0 || o.RequestTimeout < 0 {
		return o, errors.New("check twilio options: requests per second, burst, concurrency and time-out must not be negative")
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return o, errors.New("check twilio options: user agent contains characters that a header cannot hold")
	}
	if o.RequestsPerSecond == 0 {
		o.RequestsPerSecond = DefaultRequestsPerSecond
	}
	if o.Burst == 0 {
		o.Burst = DefaultBurst
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = DefaultMaxConcurrent
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.MaxConcurrent)
	}
	if o.Observer == nil {
		o.Observer = func(string, int, time.Duration) {}
	}
	if o.Clock == nil {
		o.Clock = realClock{}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	o.UserAgent += fmt.Sprintf(" twilio-go/%s %s", sdk.LibraryVersion, runtime.Version())
	return o, nil
}

// newTransport tunes a clone of the default transport: it keeps as many idle connections as there may be calls at once,
// and notices dead ones.
func newTransport(concurrent int) http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody replaced the default; theirs is what the program wants
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConns = 4 * concurrent // three products, and room for a second account
	t.MaxIdleConnsPerHost = concurrent
	t.IdleConnTimeout = idleConnTimeout
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingInterval, PingTimeout: pingTimeout}
	return t
}

// Pool makes clients, and lets those of one account share its limits and all of them their connections. It is safe for
// concurrent use.
type Pool struct {
	opts Options
	base *url.URL // nil: Twilio's own hosts
	key  []byte   // of the digests that stand for credentials in the cache

	mu       sync.Mutex
	clients  map[[sha256.Size]byte]*list.Element
	recent   *list.List // of *pooled, most recently used first
	accounts map[string]*account
}

// pooled is one entry of the cache.
type pooled struct {
	digest     [sha256.Size]byte
	accountSID string
	client     *Client
}

// NewPool checks the options and returns a pool. It makes no connection.
func NewPool(opts Options) (*Pool, error) {
	base, err := parseBaseURL(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	if opts, err = opts.withDefaults(); err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	_, _ = cryptorand.Read(key) // never fails, by its documentation
	return &Pool{
		opts:     opts,
		base:     base,
		key:      key,
		clients:  make(map[[sha256.Size]byte]*list.Element),
		recent:   list.New(),
		accounts: make(map[string]*account),
	}, nil
}

// Client returns the client for these credentials, the same one for the same credentials as long as it is in use. It
// fails when the credentials are incomplete or malformed; whether Twilio accepts them shows with the first call.
func (p *Pool) Client(creds Credentials) (*Client, error) {
	if err := creds.validate(); err != nil {
		return nil, err
	}
	digest := p.digest(creds)
	p.mu.Lock()
	defer p.mu.Unlock()
	if element, ok := p.clients[digest]; ok {
		p.recent.MoveToFront(element)
		return element.Value.(*pooled).client, nil
	}
	acct, ok := p.accounts[creds.AccountSID]
	if !ok {
		acct = newAccount(p.opts)
		p.accounts[creds.AccountSID] = acct
	}
	acct.clients++
	client := newClient(p, acct, creds)
	p.clients[digest] = p.recent.PushFront(&pooled{digest: digest, accountSID: creds.AccountSID, client: client})
	for p.recent.Len() > maxClients {
		p.evictOldest()
	}
	return client, nil
}

// evictOldest forgets the least recently used client, and its account with the account's last client. A caller that
// still holds the client can go on using it.
func (p *Pool) evictOldest() {
	entry := p.recent.Remove(p.recent.Back()).(*pooled)
	delete(p.clients, entry.digest)
	acct := p.accounts[entry.accountSID]
	if acct.clients--; acct.clients == 0 {
		delete(p.accounts, entry.accountSID)
	}
}

// digest stands for credentials in the cache, so that no secret is a map key. The length before each field keeps
// borders apart.
func (p *Pool) digest(c Credentials) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, p.key)
	for _, field := range []string{c.AccountSID, c.AuthToken, c.APIKeySID, c.APIKeySecret, c.Region, c.Edge} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		mac.Write(length[:])
		_, _ = io.WriteString(mac, field)
	}
	copy(sum[:], mac.Sum(nil))
	return sum
}
