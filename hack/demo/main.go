// Command demo plays one idle conversation from the policy to the end, on this machine alone: a real Kubernetes API
// server, the operator's own binary, and a simulator in Twilio's place, each as a process on loopback. Nothing is shortened:
// the customer's minute of silence is a real minute. `make demo` builds what it needs and runs it.
//
// It exits with 0 when every step came true; with 1 when one did not, saying which and why with the operator's last log
// lines; with 130 when it was interrupted. Whichever it is, every process it started is stopped. With KEEP=1 in the
// environment it leaves all running after the last step, says what to try, and stops all on Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	exitFailed      = 1
	exitInterrupted = 130

	// logLines is how many of the operator's last log lines a failure shows.
	logLines = 20
)

func main() {
	os.Exit(run())
}

func run() int {
	// The libraries' own log lines would run through the timeline.
	ctrl.SetLogger(logr.Discard())

	// Signals are caught until the very end: a second Ctrl-C must not leave processes behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	out := newTimeline(os.Stdout, isTerminal(os.Stdout), time.Now)
	d, err := newDemo(out, os.Getenv("KUBEBUILDER_ASSETS"), "bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return exitFailed
	}

	out.heading("An idle conversation in Twilio Flex, ended by an InactivityPolicy. This takes about a minute and a half.")
	err = d.play(ctx)
	if err == nil && os.Getenv("KEEP") != "" {
		d.printThingsToTry()
		if err = d.keep(ctx); err == nil {
			out.heading("Stopping everything.")
		}
	}

	// What is shown of a failure must be read before the processes are stopped.
	interrupted := err != nil && ctx.Err() != nil
	var lastLines []string
	if err != nil && !interrupted && d.operator != nil {
		lastLines = d.operator.LastLines(logLines)
	}
	stopErr := d.stop()
	if interrupted || err == nil {
		// After a failure the logs stay for whoever looks for its cause.
		stopErr = errors.Join(stopErr, os.RemoveAll(d.stateDir))
	}

	switch {
	case interrupted:
		out.heading("Interrupted; everything is stopped.")
		return exitInterrupted
	case err != nil:
		out.failure(err, lastLines, filepath.Join(d.stateDir, operatorName+".log"))
		return exitFailed
	case stopErr != nil:
		out.failure(fmt.Errorf("stopping everything: %w", stopErr), nil, "")
		return exitFailed
	}
	out.done("Everything stopped", "")
	return 0
}

// newDemo checks what must be there before anything is started: the control plane's programs in assets, and the operator and
// the simulator in binDir.
func newDemo(out *timeline, assets, binDir string) (*demo, error) {
	if assets == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: run make demo")
	}
	binDir, err := filepath.Abs(binDir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", binDir, err)
	}
	for _, name := range []string{operatorName, simulatorName} {
		if _, err := os.Stat(filepath.Join(binDir, name)); err != nil {
			return nil, fmt.Errorf("%w: run make demo from the repository's root", err)
		}
	}
	// One for each run: two demos at once must not write into each other's logs and kubeconfigs.
	state, err := os.MkdirTemp("", "inactivity-demo-")
	if err != nil {
		return nil, fmt.Errorf("creating a directory for logs: %w", err)
	}
	return &demo{out: out, assets: assets, binDir: binDir, stateDir: state}, nil
}
