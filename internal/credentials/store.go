package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// readTimeout bounds the reading of one Secret, so that one stuck request does not hold up the others for long.
	readTimeout = 10 * time.Second
)

// Options are what a [Store] is made of. Secrets and Policies are needed.
type Options struct {
	// Secrets reads Secrets from the API server itself: the operator may get them, but a cache would list and watch.
	Secrets client.Reader
	// Policies lists InactivityPolicies from the manager's cache.
	Policies client.Reader
	// Clock is the time the Store lives in. Nil: the wall clock.
	Clock clock.Clock
}

// Store holds the Twilio credentials that policies name, by the Secret's name. It is a manager.Runnable that works on
// every replica, since every replica receives callbacks. All methods are safe for concurrent use.
//
// What a Secret says last is what counts: one that is deleted or becomes invalid gives no credentials from then on.
// A Secret that cannot be read right now keeps those it gave.
type Store struct {
	secrets  client.Reader
	policies client.Reader
	clock    clock.Clock

	loaded atomic.Bool

	mu      sync.RWMutex
	entries map[types.NamespacedName]*entry
	// reads numbers the reads in the order in which they began.
	reads uint64
	// awaited are the Secrets that the first pass could not read; nil before it, or when there were none.
	awaited map[types.NamespacedName]struct{}

	wanted  *nameSet
	changed *nameSet
	events  chan event.GenericEvent
}

// entry is what is known of one Secret.
type entry struct {
	// attempted is when the latest read began.
	attempted time.Time
	// read is the number of the read that the rest is from; 0 while there was none.
	read        uint64
	credentials Credentials
	problem     string // empty if the credentials are valid
}

// NewStore returns an empty Store. It panics if a reader is missing, which is a mistake in the program.
func NewStore(options Options) *Store {
	if options.Secrets == nil || options.Policies == nil {
		panic("credentials: a Store needs readers for Secrets and policies")
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	return &Store{
		secrets:  options.Secrets,
		policies: options.Policies,
		clock:    options.Clock,
		entries:  make(map[types.NamespacedName]*entry),
		wanted:   newNameSet(),
		changed:  newNameSet(),
		events:   make(chan event.GenericEvent),
	}
}

// Get returns the credentials that the Secret held when it was last read, from memory. It reports false when it was not
// read yet, does not exist or is invalid.
func (s *Store) Get(secret types.NamespacedName) (Credentials, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known, ok := s.entries[secret]
	if !ok || known.read == 0 || known.problem != "" {
		return Credentials{}, false
	}
	return known.credentials, true
}

// Loaded reports whether the Secrets of all policies that there were at the start have been read, or have been found to be
// missing, wrong or forbidden. One that the API server gives no answer about is waited for, up to a minute. It never becomes
// false again.
func (s *Store) Loaded() bool { return s.loaded.Load() }

// Changes delivers the name of each Secret, as the metadata of a Secret without data, whose credentials turned out to
// be different from what was known of it: they changed, appeared, disappeared, or are wrong in another way. Names that
// nobody takes are kept, each once. There is one channel, for one consumer.
func (s *Store) Changes() <-chan event.GenericEvent { return s.events }

// Refresh reads the Secret and returns its credentials. The error is an [*Error] if the Secret is at fault; any other
// one says that it could not be read, and leaves what is known of it as it was.
func (s *Store) Refresh(ctx context.Context, secret types.NamespacedName) (Credentials, error) {
	number := s.beginRead(secret)
	credentials, err := s.read(ctx, secret)
	var fault *Error
	if err != nil && !errors.As(err, &fault) {
		return Credentials{}, err
	}
	s.record(secret, number, credentials, fault)
	return credentials, err
}

// RefreshSoon asks for the Secret to be read again and returns at once. However often it is called, a Secret is read in
// this way once in ten seconds at most, so that forged callbacks do not become requests to the API server.
func (s *Store) RefreshSoon(secret types.NamespacedName) { s.wanted.add(secret) }

func (s *Store) read(ctx context.Context, name types.NamespacedName) (Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var secret corev1.Secret
	err := s.secrets.Get(ctx, name, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return Credentials{}, &Error{Secret: name, Reason: v1alpha1.ReasonSecretNotFound, cause: err}
	case err != nil:
		return Credentials{}, fmt.Errorf("reading secret %s: %w", name, err)
	}
	return Parse(&secret)
}

func (s *Store) beginRead(secret types.NamespacedName) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.entries[secret]
	if !ok {
		known = &entry{}
		s.entries[secret] = known
	}
	known.attempted = s.clock.Now()
	s.reads++
	return s.reads
}

// record keeps what a read found, unless one that began later has already found something: a slow answer must not bring
// an old token back.
func (s *Store) record(secret types.NamespacedName, number uint64, credentials Credentials, fault *Error) {
	problem := ""
	if fault != nil {
		problem = fault.Error()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.entries[secret]
	if !ok {
		// Dropped while it was being read; the reader still wants it, or the next pass drops it again.
		known = &entry{attempted: s.clock.Now()}
		s.entries[secret] = known
	}
	if known.read > number {
		return
	}
	// The first read tells nobody anything: whoever depends on the Secret reads it itself before it waits for changes.
	if known.read != 0 && (known.credentials != credentials || known.problem != problem) {
		s.changed.add(secret)
	}
	known.read, known.credentials, known.problem = number, credentials, problem
}

// keepOnly forgets the Secrets that no policy names. Those whose latest read began after the policies were listed are
// kept: a policy may have come since.
func (s *Store) keepOnly(named map[types.NamespacedName]struct{}, listedAt uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for secret, known := range s.entries {
		if _, ok := named[secret]; !ok && known.read <= listedAt {
			delete(s.entries, secret)
			s.wanted.remove(secret)
			s.changed.remove(secret)
		}
	}
}

func (s *Store) lastRead() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.reads
}

func (s *Store) lastAttempt(secret types.NamespacedName) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if known, ok := s.entries[secret]; ok {
		return known.attempted
	}
	return time.Time{}
}

// changeEvent is the event that tells of a Secret.
func changeEvent(secret types.NamespacedName) event.GenericEvent {
	return event.GenericEvent{Object: &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name},
	}}
}
