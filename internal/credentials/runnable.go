package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// refreshInterval is how long a rotated token may go unnoticed when nothing else asks for its Secret.
	refreshInterval = time.Minute

	// retryInterval follows a pass that could not list the policies; readiness waits for the first that can, and for the next
	// one when a Secret could not be read.
	retryInterval = 5 * time.Second

	// concurrentReads is how many Secrets a pass reads at a time: a thousand in a few seconds, without a burst that the
	// API server would notice.
	concurrentReads = 8

	// askedInterval is the shortest time between two reads of one Secret that RefreshSoon asked for.
	askedInterval = 10 * time.Second

	// askedSpacing is the shortest time between any two such reads, so that a flood of forged callbacks for many
	// workspaces stays at ten requests per second.
	askedSpacing = 100 * time.Millisecond
)

// NeedLeaderElection is false: every replica receives callbacks.
func (s *Store) NeedLeaderElection() bool { return false }

// Start reads the Secrets of all policies now and every minute, and those that are asked for in between, until ctx is
// done. The manager calls it once its cache has synced.
func (s *Store) Start(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { s.serveAsked(ctx) })
	workers.Go(func() { s.deliverChanges(ctx) })

	for {
		interval := refreshInterval
		if err := s.refreshAll(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Refreshing credentials failed")
			interval = retryInterval
		}
		timer := s.clock.NewTimer(interval)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// refreshAll reads the Secret of every policy and forgets all others. A Secret that cannot be read does not keep the
// others from being read; it is tried again soon.
func (s *Store) refreshAll(ctx context.Context) error {
	listedAt := s.lastRead()
	named, err := s.named(ctx)
	if err != nil {
		return err
	}
	var readers errgroup.Group
	readers.SetLimit(concurrentReads)
	var mu sync.Mutex
	unanswered := map[types.NamespacedName]struct{}{}
	for secret := range named {
		readers.Go(func() error {
			if !s.refreshLogged(ctx, secret) {
				mu.Lock()
				defer mu.Unlock()
				unanswered[secret] = struct{}{}
			}
			return nil
		})
	}
	_ = readers.Wait() // the readers return no errors
	s.keepOnly(named, listedAt)
	if ctx.Err() == nil {
		s.passed(unanswered)
	}
	return nil
}

// passed ends a pass. A replica that could serve a workspace no callback is not ready: after a restart of all replicas at once
// that would cost events. But one Secret that stays unreadable must not keep it from serving the others.
func (s *Store) passed(unanswered map[types.NamespacedName]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaited == nil && len(unanswered) > 0 {
		s.awaited = unanswered
		return
	}
	s.loaded.Store(true)
}

// answered ends the waiting for a Secret.
func (s *Store) answered(secret types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.awaited, secret); s.awaited != nil && len(s.awaited) == 0 {
		s.loaded.Store(true)
	}
}

func (s *Store) named(ctx context.Context) (map[types.NamespacedName]struct{}, error) {
	var policies v1alpha1.InactivityPolicyList
	// The list is only read, so that a copy of every policy each minute would be wasted.
	if err := s.policies.List(ctx, &policies, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing InactivityPolicies: %w", err)
	}
	named := make(map[types.NamespacedName]struct{}, len(policies.Items))
	for i := range policies.Items {
		policy := &policies.Items[i]
		named[types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.CredentialsSecretRef.Name}] = struct{}{}
	}
	return named, nil
}

// refreshLogged reads a Secret for nobody in particular, and reports whether the API server has answered. That a Secret is
// missing or wrong is for the conditions of its policies to say, each time one of them is reconciled.
func (s *Store) refreshLogged(ctx context.Context, secret types.NamespacedName) (answered bool) {
	_, err := s.Refresh(ctx, secret)
	var fault *Error
	switch {
	case err == nil || errors.As(err, &fault):
		return true
	case ctx.Err() != nil:
		return false
	}
	log.FromContext(ctx).Error(err, "Refreshing credentials failed")
	if apierrors.IsForbidden(err) {
		return true // missing rights do not come back by asking; the next pass is soon enough
	}
	s.RefreshSoon(secret)
	return false
}

// serveAsked reads the Secrets that RefreshSoon was called for, one at a time and each when it is due.
func (s *Store) serveAsked(ctx context.Context) {
	var previous time.Time
	for ctx.Err() == nil {
		secret, wait, asked := s.nextAsked(previous)
		if asked && wait <= 0 {
			s.wanted.remove(secret)
			if s.refreshLogged(ctx, secret) {
				s.answered(secret)
			}
			previous = s.clock.Now()
			continue
		}
		var due <-chan time.Time // nil while nothing is asked for: then only a new name wakes the loop
		stop := func() bool { return true }
		if asked {
			timer := s.clock.NewTimer(wait)
			due, stop = timer.C(), timer.Stop
		}
		select {
		case <-due:
		case <-s.wanted.added:
		case <-ctx.Done():
		}
		stop()
	}
}

// nextAsked returns the Secret whose turn is first, and how long it is until then.
func (s *Store) nextAsked(previous time.Time) (secret types.NamespacedName, wait time.Duration, ok bool) {
	var first time.Time
	for _, candidate := range s.wanted.list() {
		due := s.lastAttempt(candidate).Add(askedInterval)
		if !ok || due.Before(first) {
			secret, first, ok = candidate, due, true
		}
	}
	if spaced := previous.Add(askedSpacing); first.Before(spaced) {
		first = spaced
	}
	return secret, first.Sub(s.clock.Now()), ok
}

// deliverChanges hands the names of changed Secrets to whoever reads Changes.
func (s *Store) deliverChanges(ctx context.Context) {
	for {
		names := s.changed.list()
		for _, secret := range names {
			s.changed.remove(secret)
			select {
			case s.events <- changeEvent(secret):
			case <-ctx.Done():
				return
			}
		}
		if len(names) > 0 {
			continue
		}
		select {
		case <-s.changed.added:
		case <-ctx.Done():
			return
		}
	}
}
