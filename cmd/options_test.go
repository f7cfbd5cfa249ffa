package main

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, args ...string) (*options, error) {
	t.Helper()
	var opts options
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	opts.bind(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	opts.stray = flags.Args()
	return &opts, opts.validate()
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	opts, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{opts.public, opts.receiverAddress, opts.metricsAddress, opts.probeAddress, opts.leaderElect, opts.sweepInterval, opts.syncInterval, opts.forwardToPrivate, len(opts.namespaces())}
	want := []any{opts.public, ":8082", ":8443", ":8081", false, time.Minute, 10 * time.Minute, false, 0}
	if diff := cmp.Diff(want, got); diff != "" || opts.public != nil {
		t.Errorf("public URL %v (-want +got):\n%s", opts.public, diff)
	}
}

func TestFlagsAreRead(t *testing.T) {
	opts, err := parse(t, "--public-url=https://callbacks.example.com/twilio", "--watch-namespaces= a, b,,", "--leader-elect",
		"--leader-election-namespace=system", "--twilio-api-url=http://127.0.0.1:1", "--max-concurrent-conversations=3",
		"--forward-to-private-addresses", "--zap-log-level=debug")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, opts.namespaces()); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if opts.public.String() != "https://callbacks.example.com/twilio" || !opts.leaderElect || opts.leaderElectionNamespace != "system" ||
		opts.twilioAPIURL != "http://127.0.0.1:1" || opts.maxConcurrent != 3 || !opts.forwardToPrivate {
		t.Errorf("read as %+v", opts)
	}
}

func TestAFlagThatCannotBeUsedIsNamed(t *testing.T) {
	for _, args := range []string{
		"--public-url=http://callbacks.example.com", "--public-url=callbacks", "--sweep-interval=0s", "--sync-interval=10ms",
		"--max-concurrent-conversations=0", "--watch-namespaces=Foo_Bar", "--watch-namespaces=,",
	} {
		name, _, _ := strings.Cut(args, "=")
		if _, err := parse(t, args); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names %s", args, err, name)
		}
	}
}

func TestAWordThatIsNoFlagIsRefused(t *testing.T) {
	// Go's flags end at the first word that is none: what stands behind it would be dropped without a word.
	if _, err := parse(t, "--leader-elect", "true", "--public-url=https://callbacks.example.com"); err == nil || !strings.Contains(err.Error(), `"true"`) {
		t.Errorf("error %v, want one that names the word", err)
	}
}
