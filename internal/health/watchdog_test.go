package health

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// kubelet is how often the probe of the manifests asks.
const kubelet = 20 * time.Second

// watched is a controller of the library with one worker, under a watchdog.
type watched struct {
	*Watchdog[string]
	queue workqueue.TypedRateLimitingInterface[string]
}

// run runs a controller until the test ends. It must be called in a bubble.
func run(t *testing.T, reconciler reconcile.TypedFunc[string]) *watched {
	t.Helper()
	w := &watched{Watchdog: NewWatchdog("test", clock.RealClock{}, reconciler)}
	c, err := controller.NewTypedUnmanaged("test", controller.TypedOptions[string]{
		Reconciler: w, SkipNameValidation: new(true), CacheSyncTimeout: time.Minute,
		// The queue that controllers have anyway, without its metrics, which never rest.
		NewQueue: func(_ string, limiter workqueue.TypedRateLimiter[string]) workqueue.TypedRateLimitingInterface[string] {
			return priorityqueue.New("", func(options *priorityqueue.Opts[string]) { options.RateLimiter = limiter })
		},
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, time.Hour),
		Logger:      ctrl.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Watch(source.TypedFunc[string](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[string]) error {
		w.queue = queue
		w.Serves(queue)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Start(ctx) }()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// failsAfter is how long a probe goes on to succeed; ok: for the whole length.
func (w *watched) failsAfter(length time.Duration) (after time.Duration, err error) {
	for begun := time.Now(); time.Since(begun) < length; {
		<-time.After(kubelet)
		synctest.Wait()
		if err := w.Check(nil); err != nil {
			return time.Since(begun), err
		}
	}
	return 0, nil
}

func TestAWorkerThatNeverComesBackIsAWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := run(t, func(context.Context, string) (reconcile.Result, error) {
			<-release
			return reconcile.Result{}, nil
		})
		w.queue.Add("CH1")
		after, err := w.failsAfter(time.Hour)
		if err == nil || !strings.Contains(err.Error(), "controller test") || !strings.Contains(err.Error(), "CH1") {
			t.Fatalf("Check() = %v, want an error that names the controller and the item", err)
		}
		if after <= Patience || after > Patience+2*kubelet {
			t.Errorf("fails after %s, want a little more than %s", after, Patience)
		}
		close(release)
		synctest.Wait()
		if err := w.Check(nil); err != nil {
			t.Errorf("Check() = %v after the worker has come back", err)
		}
	})
}

func TestItemsThatNoWorkerTakesAreAWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Watchdog: NewWatchdog("test", clock.RealClock{}, reconcile.TypedFunc[string](nil))}
		queue := priorityqueue.New("", func(o *priorityqueue.Opts[string]) {
			o.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, time.Hour)
		})
		defer queue.ShutDown()
		queue.Add("CH1")
		if _, err := w.failsAfter(time.Hour); err != nil {
			t.Errorf("Check() = %v on a replica without workers", err)
		}
		w.Serves(queue)
		after, err := w.failsAfter(time.Hour)
		if err == nil || !strings.Contains(err.Error(), "1 items wait") {
			t.Fatalf("Check() = %v, want an error that says what waits", err)
		}
		if after <= Patience || after > Patience+2*kubelet {
			t.Errorf("fails after %s, want a little more than %s", after, Patience)
		}
	})
}

func TestNothingElseIsAWedge(t *testing.T) {
	slow := func(length time.Duration) reconcile.TypedFunc[string] {
		return func(context.Context, string) (reconcile.Result, error) {
			<-time.After(length)
			return reconcile.Result{}, nil
		}
	}
	for sentence, test := range map[string]struct {
		reconciler reconcile.TypedFunc[string]
		items      int
	}{
		"an empty queue": {reconciler: slow(0)},
		"a queue that every pass leaves longer than it was, as long as items are taken": {
			reconciler: slow(25 * time.Second), items: 500,
		},
		"passes that take as long as they may": {reconciler: slow(2 * time.Minute), items: 3},
		"Twilio is down: every pass fails, and back-off holds everything": {
			reconciler: func(context.Context, string) (reconcile.Result, error) {
				<-time.After(25 * time.Second)
				return reconcile.Result{}, errors.New("no answer")
			}, items: 3,
		},
		"Twilio throttles: everything waits for as long as it has asked": {
			reconciler: func(context.Context, string) (reconcile.Result, error) {
				return reconcile.Result{RequeueAfter: time.Hour}, nil
			}, items: 3,
		},
		"a reconciler that panics": {
			reconciler: func(context.Context, string) (reconcile.Result, error) { panic("bug") }, items: 1,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := run(t, test.reconciler)
				for i := range test.items {
					w.queue.Add(strconv.Itoa(i))
				}
				if after, err := w.failsAfter(2 * time.Hour); err != nil {
					t.Errorf("after %s: %v", after, err)
				}
			})
		})
	}
}
