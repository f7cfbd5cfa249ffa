//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/flexops-dev/inactivity-operator/test/process"
)

// drainLimit is longer than the manifests give a pod to end.
const drainLimit = 60 * time.Second

// replica is one process of the operator, with ports of its own and a way of its own to Twilio, as a pod has.
type replica struct {
	name    string
	process *process.Process
	gate    *gate
	backend *backend
	logFile string

	mu sync.Mutex
	// signals are those that it was sent.
	signals []syscall.Signal
}

// startReplica starts a process of the operator.
func (w *world) startReplica(name string) (*replica, error) {
	addresses, err := process.FreeAddresses(3)
	if err != nil {
		return nil, err
	}
	r := &replica{name: name, logFile: filepath.Join(w.dir, name+".log")}
	if r.gate, err = newGate(name, w.exchanges, w.loser); err != nil {
		return nil, err
	}
	r.process, err = process.Start(w.manager, r.logFile, append(os.Environ(), "KUBECONFIG="+w.cluster.kubeconfig),
		"--leader-elect",
		"--leader-election-namespace="+namespace,
		"--public-url="+w.balancer.url,
		"--receiver-bind-address="+addresses[0],
		"--health-probe-bind-address="+addresses[1],
		"--metrics-bind-address="+addresses[2],
		"--twilio-api-url=http://"+r.gate.address,
		"--sweep-interval="+sweepInterval.String(),
		"--sync-interval=15s",
	)
	if err != nil {
		r.gate.close()
		return nil, err
	}
	r.backend = &backend{name: name, receiver: addresses[0], health: addresses[1]}
	w.balancer.add(r.backend)
	w.mu.Lock()
	w.replicas = append(w.replicas, r)
	w.mu.Unlock()
	go func() {
		<-r.process.Exited()
		w.balancer.drop(r.backend)
		r.gate.close()
	}()
	return r, nil
}

func (r *replica) alive() bool {
	select {
	case <-r.process.Exited():
		return false
	default:
		return true
	}
}

// signal sends a signal and remembers it.
func (r *replica) signal(signal syscall.Signal) error {
	r.mu.Lock()
	r.signals = append(r.signals, signal)
	r.mu.Unlock()
	return r.process.Signal(signal)
}

// wasSent reports whether the replica was sent a signal.
func (r *replica) wasSent(signal syscall.Signal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.signals, signal)
}

// What the operator logs of its leadership, in the words of client-go.
var (
	becameLeader = []byte("uccessfully acquired lease")
	lostLease    = []byte("leader election lost")
)

// logged reports whether the replica's log has the text.
func (r *replica) logged(text []byte) bool {
	log, err := os.ReadFile(r.logFile)
	return err == nil && bytes.Contains(log, text)
}

// endedWithoutLease is how a leader ends that has lost its lease.
const endedWithoutLease = "ended without the lease"

// howItEnded describes the end of a process, and says whether nothing explains it.
func (w *world) howItEnded(r *replica) (how string, unexplained bool) {
	code := r.process.ExitCode()
	switch {
	case r.logged([]byte("panic:")) || r.logged([]byte("Observed a panic")):
		return "panicked", true
	case r.wasSent(syscall.SIGKILL):
		return "killed", false
	case r.wasSent(syscall.SIGTERM) && code == 0:
		return "terminated", false
	case r.wasSent(syscall.SIGTERM) && code == -1:
		return "terminated before it listened to signals", false
	case r.logged(lostLease):
		return endedWithoutLease, false
	case w.apiServerWasDown():
		return "ended without an API server", false
	}
	return fmt.Sprintf("ended with code %d: %s", code, r.process.LastLines(1)), true
}

// keep runs a replica, and starts it again whenever it has ended, as a kubelet does, until ctx ends.
func (w *world) keep(ctx context.Context, slot string) {
	for n := 1; ctx.Err() == nil; n++ {
		r, err := w.startReplica(fmt.Sprint(slot, n))
		if err != nil {
			w.wrong("%v", err)
			return
		}
		w.occupy(slot, r)
		w.counts.add("processes started", 1)
		select {
		case <-r.process.Exited():
		case <-ctx.Done():
			return
		}
		how, unexplained := w.howItEnded(r)
		if unexplained {
			w.wrong("%s %s", r.name, how)
		}
		w.counts.add("processes "+how, 1)
		w.tell("%s %s", r.name, how)
		until(ctx, time.Now().Add(restartDelay))
	}
}

// restartDelay is how long a replica that has ended stays away.
const restartDelay = time.Second

// occupy makes r the replica of its slot.
func (w *world) occupy(slot string, r *replica) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[slot] = r
}

// in is the replica of a slot; nil when none has been started.
func (w *world) in(slot string) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots[slot]
}

// leader is the replica that leads, or last did; nil if none ever has.
func (w *world) leader() *replica {
	w.mu.Lock()
	started := slices.Clone(w.replicas)
	w.mu.Unlock()
	for _, r := range slices.Backward(started) {
		if r.alive() && r.logged(becameLeader) {
			return r
		}
	}
	return nil
}

// stopAll ends every process that still runs: orderly, but for those that do not.
func (w *world) stopAll() {
	w.mu.Lock()
	started := slices.Clone(w.replicas)
	w.mu.Unlock()
	var group sync.WaitGroup
	for _, r := range started {
		if !r.alive() {
			continue
		}
		group.Go(func() {
			_ = r.process.Signal(syscall.SIGCONT)
			if err := r.process.Stop(drainLimit); err != nil {
				w.wrong("%s: %v", r.name, err)
			}
		})
	}
	group.Wait()
}
