package credentials

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// The tests run in bubbles of testing/synctest, in which the wall clock stands still until everybody waits.

var (
	twilioSecret = types.NamespacedName{Namespace: "support", Name: "twilio"}
	otherSecret  = types.NamespacedName{Namespace: "sales", Name: "twilio"}
)

// cluster is an API server with Secrets and policies, whose answers a test can hold up or replace.
type cluster struct {
	client.Client

	mu      sync.Mutex
	reads   []string
	fail    func(name types.NamespacedName) error
	failing error // of every list of policies
	onRead  func(name types.NamespacedName)
	log     []string
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{}
	c.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, reader client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if _, isSecret := object.(*corev1.Secret); !isSecret {
				return reader.Get(ctx, key, object, options...)
			}
			c.mu.Lock()
			c.reads = append(c.reads, key.String())
			fail, onRead := c.fail, c.onRead
			c.mu.Unlock()
			if fail != nil {
				if err := fail(key); err != nil {
					return err
				}
			}
			err := reader.Get(ctx, key, object, options...)
			if onRead != nil {
				onRead(key)
			}
			return err
		},
		List: func(ctx context.Context, reader client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			c.mu.Lock()
			failing := c.failing
			c.mu.Unlock()
			if failing != nil {
				return failing
			}
			return reader.List(ctx, list, options...)
		},
	}).Build()
	return c
}

func (c *cluster) set(change func(c *cluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

// takeReads returns the Secrets that were read since the last call, sorted.
func (c *cluster) takeReads() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	reads := c.reads
	c.reads = nil
	slices.Sort(reads)
	return reads
}

func (c *cluster) logged() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.log, "\n")
}

func (c *cluster) store() *Store {
	return NewStore(Options{Secrets: c.Client, Policies: c.Client})
}

// start runs the store until the test ends.
func (c *cluster) start(t *testing.T, store *Store) {
	t.Helper()
	logger := funcr.New(func(prefix, args string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.log = append(c.log, prefix+args)
	}, funcr.Options{})
	ctx, cancel := context.WithCancel(logr.NewContext(t.Context(), logger))
	ended := make(chan error)
	go func() { ended <- store.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start() = %v, want nil", err)
		}
	})
}

func (c *cluster) write(t *testing.T, name types.NamespacedName, token string) {
	t.Helper()
	s := twilioSecretOf(name, token)
	if err := c.Update(t.Context(), s); apierrors.IsNotFound(err) {
		err = c.Create(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
}

func twilioSecretOf(name types.NamespacedName, token string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Data:       map[string][]byte{"accountSid": []byte(testAccount), "authToken": []byte(token)},
	}
}

func policyFor(name string, secret types.NamespacedName) *v1alpha1.InactivityPolicy {
	return &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: name},
		Spec:       v1alpha1.InactivityPolicySpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: secret.Name}},
	}
}

// advance lets the bubble's time pass, and everybody react to it.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func token(t *testing.T, store *Store, secret types.NamespacedName) string {
	t.Helper()
	credentials, ok := store.Get(secret)
	if !ok {
		return "none"
	}
	return credentials.Twilio.AuthToken
}

func forbidden(name types.NamespacedName) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, name.Name, errors.New("no rights"))
}

func TestStartReadsTheSecretsOfAllPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t,
			twilioSecretOf(twilioSecret, "one"), twilioSecretOf(otherSecret, "two"),
			twilioSecretOf(types.NamespacedName{Namespace: "support", Name: "unrelated"}, "three"),
			policyFor("a", twilioSecret), policyFor("b", twilioSecret), policyFor("c", otherSecret),
		)
		store := c.store()
		if store.NeedLeaderElection() {
			t.Error("the store waits for leadership, but every replica receives callbacks")
		}
		if store.Loaded() {
			t.Error("loaded before it started")
		}
		c.start(t, store)
		synctest.Wait()

		if !store.Loaded() {
			t.Error("not loaded after the first pass")
		}
		if diff := cmp.Diff([]string{"sales/twilio", "support/twilio"}, c.takeReads()); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}
		if one, two := token(t, store, twilioSecret), token(t, store, otherSecret); one != "one" || two != "two" {
			t.Errorf("tokens %q and %q, want one and two", one, two)
		}
		select {
		case change := <-store.Changes():
			t.Errorf("a first read told of a change of %v", change.Object)
		default:
		}
	})
}

func TestARotatedTokenIsFoundWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), policyFor("a", twilioSecret))
		store := c.store()
		c.start(t, store)
		synctest.Wait()

		c.write(t, twilioSecret, "two")
		advance(time.Minute - time.Nanosecond)
		if got := token(t, store, twilioSecret); got != "one" {
			t.Errorf("token %q before the minute was over, want one", got)
		}
		advance(time.Nanosecond)
		if got := token(t, store, twilioSecret); got != "two" {
			t.Errorf("token %q after a minute, want two", got)
		}
		change := <-store.Changes()
		if got := client.ObjectKeyFromObject(change.Object); got != twilioSecret {
			t.Errorf("told of a change of %v, want %v", got, twilioSecret)
		}

		// At rest nobody is told anything.
		advance(10 * time.Minute)
		select {
		case change := <-store.Changes():
			t.Errorf("told of a change of %v, but there was none", change.Object)
		default:
		}
	})
}

func TestWhatTheSecretSaysLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, policyFor("a", twilioSecret))
		store := c.store()

		step := func(what, wantToken, wantReason string) {
			t.Helper()
			got, err := store.Refresh(t.Context(), twilioSecret)
			var fault *Error
			if wantReason == "" && err != nil || wantReason != "" && (!errors.As(err, &fault) || fault.Reason != wantReason) {
				t.Fatalf("%s: Refresh() = %v, want reason %q", what, err, wantReason)
			}
			if err == nil && got.Twilio.AuthToken != wantToken {
				t.Errorf("%s: Refresh() gave another token", what)
			}
			if got := token(t, store, twilioSecret); got != wantToken {
				t.Errorf("%s: Get() has token %q, want %q", what, got, wantToken)
			}
		}

		step("no Secret", "none", v1alpha1.ReasonSecretNotFound)
		_, err := store.Refresh(t.Context(), twilioSecret)
		if want := "secret support/twilio does not exist: create it with the keys accountSid and authToken"; err.Error() != want {
			t.Errorf("Refresh() = %q, want %q", err, want)
		}
		if !apierrors.IsNotFound(err) {
			t.Errorf("Refresh() = %v does not wrap the API server's error", err)
		}

		c.write(t, twilioSecret, "one")
		step("it appeared", "one", "")
		c.write(t, twilioSecret, "not a token")
		step("it became invalid", "none", v1alpha1.ReasonSecretInvalid)
		c.write(t, twilioSecret, "two")
		step("it was mended", "two", "")

		outage := errors.New("connection refused")
		c.set(func(c *cluster) { c.fail = func(types.NamespacedName) error { return outage } })
		if _, err := store.Refresh(t.Context(), twilioSecret); !errors.Is(err, outage) || !strings.Contains(err.Error(), "reading secret support/twilio") {
			t.Errorf("Refresh() = %v, want an error that says what was read and wraps %v", err, outage)
		}
		if got := token(t, store, twilioSecret); got != "two" {
			t.Errorf("token %q while the API server is down, want the one that was known", got)
		}
		c.set(func(c *cluster) { c.fail = nil })

		if err := c.Delete(t.Context(), twilioSecretOf(twilioSecret, "")); err != nil {
			t.Fatal(err)
		}
		step("it was deleted", "none", v1alpha1.ReasonSecretNotFound)
	})
}

func TestEveryChangeIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, policyFor("a", twilioSecret))
		store := c.store()
		c.start(t, store)
		synctest.Wait()

		changes := func() (count int) {
			synctest.Wait()
			for {
				select {
				case <-store.Changes():
					count++
					synctest.Wait()
				default:
					return count
				}
			}
		}
		refresh := func() {
			t.Helper()
			// What it found is told through the change.
			_, _ = store.Refresh(t.Context(), twilioSecret)
		}

		refresh()
		if got := changes(); got != 0 {
			t.Errorf("a Secret that is still missing was told %d times, want 0", got)
		}
		c.write(t, twilioSecret, "one")
		refresh()
		refresh()
		if got := changes(); got != 1 {
			t.Errorf("a Secret that appeared was told %d times, want once", got)
		}
		c.write(t, twilioSecret, "not a token")
		refresh()
		if got := changes(); got != 1 {
			t.Errorf("a Secret that became invalid was told %d times, want once", got)
		}
		// Nobody listens for a while: the changes are kept, and told as one more than the one that is being delivered.
		for _, token := range []string{"two", "three", "four"} {
			c.write(t, twilioSecret, token)
			refresh()
			synctest.Wait()
		}
		if got := changes(); got < 1 || got > 2 {
			t.Errorf("three changes while nobody listened were told %d times, want once or twice", got)
		}
	})
}

func TestASlowReadDoesNotBringBackAnOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"))
		store := c.store()
		answer := make(chan struct{})
		slow := true
		c.set(func(c *cluster) {
			c.onRead = func(types.NamespacedName) {
				c.mu.Lock()
				held := slow
				slow = false
				c.mu.Unlock()
				if held {
					<-answer
				}
			}
		})

		ended := make(chan error)
		go func() {
			_, err := store.Refresh(t.Context(), twilioSecret)
			ended <- err
		}()
		synctest.Wait()
		c.write(t, twilioSecret, "two")
		if _, err := store.Refresh(t.Context(), twilioSecret); err != nil {
			t.Fatal(err)
		}
		close(answer)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := token(t, store, twilioSecret); got != "two" {
			t.Errorf("token %q after the slow read ended, want two", got)
		}
	})
}

func TestAStuckReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := interceptor.NewClient(newCluster(t).Client.(client.WithWatch), interceptor.Funcs{
			Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
				<-ctx.Done()
				return ctx.Err()
			},
		})
		store := NewStore(Options{Secrets: stuck, Policies: stuck})
		begin := time.Now()
		if _, err := store.Refresh(t.Context(), twilioSecret); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Refresh() = %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(begin); took != readTimeout {
			t.Errorf("given up after %v, want %v", took, readTimeout)
		}
	})
}

func TestRefreshSoonIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), twilioSecretOf(otherSecret, "two"),
			policyFor("a", twilioSecret), policyFor("b", otherSecret))
		store := c.store()
		c.start(t, store)
		synctest.Wait()
		c.takeReads()

		// A flood of forged callbacks just after the first pass: nothing now, and one read of each when ten seconds are over.
		c.write(t, twilioSecret, "rotated")
		for range 1000 {
			store.RefreshSoon(twilioSecret)
			store.RefreshSoon(otherSecret)
		}
		advance(askedInterval - time.Nanosecond)
		if got := c.takeReads(); got != nil {
			t.Errorf("%v were read within ten seconds of the last read", got)
		}
		advance(time.Nanosecond)
		if got := c.takeReads(); len(got) != 1 {
			t.Errorf("%v were read at once, want one", got)
		}
		advance(askedSpacing)
		if got := c.takeReads(); len(got) != 1 {
			t.Errorf("%v were read a moment later, want the other one", got)
		}
		if got := token(t, store, twilioSecret); got != "rotated" {
			t.Errorf("token %q, want the rotated one", got)
		}

		// A single request long after the last read is served at once.
		advance(2 * askedInterval)
		c.takeReads()
		store.RefreshSoon(twilioSecret)
		synctest.Wait()
		if diff := cmp.Diff([]string{"support/twilio"}, c.takeReads()); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}
	})
}

func TestRequestsBeforeTheStartAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"))
		store := c.store()
		store.RefreshSoon(twilioSecret)
		c.start(t, store)
		synctest.Wait()
		if got := token(t, store, twilioSecret); got != "one" {
			t.Errorf("token %q, want one", got)
		}
	})
}

func TestUnreadableSecretsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), twilioSecretOf(otherSecret, "two"),
			policyFor("a", twilioSecret), policyFor("b", otherSecret))
		c.set(func(c *cluster) {
			c.fail = func(name types.NamespacedName) error {
				if name == twilioSecret {
					return errors.New("connection refused")
				}
				return forbidden(name)
			}
		})
		store := c.store()
		c.start(t, store)
		synctest.Wait()
		if store.Loaded() {
			t.Error("loaded although the API server has not answered about a Secret")
		}
		if got := c.logged(); strings.Count(got, "Refreshing credentials failed") != 2 {
			t.Errorf("want a line for each Secret that could not be read, got:\n%s", got)
		}
		c.takeReads()
		c.set(func(c *cluster) { c.fail = nil })

		advance(askedInterval + askedSpacing)
		if diff := cmp.Diff([]string{"support/twilio"}, c.takeReads()); diff != "" {
			t.Errorf("reads after ten seconds: only what failed for another reason than missing rights (-want +got):\n%s", diff)
		}
		if got := token(t, store, twilioSecret); got != "one" {
			t.Errorf("token %q, want one", got)
		}
		if !store.Loaded() {
			t.Error("not loaded although the API server has answered about each Secret")
		}
		advance(refreshInterval)
		if got := token(t, store, otherSecret); got != "two" {
			t.Errorf("token %q after the next pass, want two", got)
		}
	})
}

func TestASecretThatStaysUnreadableIsWaitedForForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), policyFor("a", twilioSecret))
		c.set(func(c *cluster) {
			c.fail = func(types.NamespacedName) error { return errors.New("connection refused") }
		})
		store := c.store()
		c.start(t, store)
		advance(refreshInterval - time.Second)
		if store.Loaded() {
			t.Error("loaded although the API server has not answered")
		}
		advance(time.Second)
		if !store.Loaded() {
			t.Error("one Secret that cannot be read keeps the operator from becoming ready for ever")
		}
	})
}

func TestReadinessWaitsForThePolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), policyFor("a", twilioSecret))
		c.set(func(c *cluster) { c.failing = errors.New("cache is not started") })
		store := c.store()
		c.start(t, store)
		synctest.Wait()
		if store.Loaded() {
			t.Error("loaded although the policies could not be listed")
		}
		if got := c.logged(); !strings.Contains(got, "listing InactivityPolicies: cache is not started") {
			t.Errorf("the log does not say why:\n%s", got)
		}
		c.set(func(c *cluster) { c.failing = nil })
		advance(retryInterval)
		if !store.Loaded() {
			t.Error("not loaded after the policies could be listed")
		}
	})
}

func TestSecretsThatNoPolicyNamesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := policyFor("a", twilioSecret)
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), twilioSecretOf(otherSecret, "two"), gone, policyFor("b", otherSecret))
		store := c.store()
		c.start(t, store)
		synctest.Wait()
		if err := c.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		store.RefreshSoon(twilioSecret)
		advance(refreshInterval)
		if got := token(t, store, twilioSecret); got != "none" {
			t.Error("the credentials of a Secret that no policy names are still in memory")
		}
		if got := token(t, store, otherSecret); got != "two" {
			t.Errorf("token %q, want two", got)
		}
		c.takeReads()
		advance(refreshInterval)
		if diff := cmp.Diff([]string{"sales/twilio"}, c.takeReads()); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}
	})
}

// A policy that appears while a pass is under way is not in the pass's list; what was read for it must survive the pass.
func TestASecretReadDuringAPassIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twilioSecretOf(twilioSecret, "one"), twilioSecretOf(otherSecret, "two"), policyFor("a", twilioSecret))
		hold := make(chan struct{})
		c.set(func(c *cluster) {
			c.onRead = func(name types.NamespacedName) {
				if name == twilioSecret {
					<-hold
				}
			}
		})
		store := c.store()
		c.start(t, store)
		synctest.Wait()
		if _, err := store.Refresh(t.Context(), otherSecret); err != nil {
			t.Fatal(err)
		}
		close(hold)
		synctest.Wait()
		if !store.Loaded() {
			t.Fatal("the pass has not ended")
		}
		if got := token(t, store, otherSecret); got != "two" {
			t.Errorf("token %q, want two: the pass dropped what it did not know of", got)
		}
	})
}

func TestNewStoreRefusesMissingReaders(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewStore() without readers: want a panic")
		}
	}()
	NewStore(Options{})
}
