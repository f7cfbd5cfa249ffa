package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scripted is a timeline on a clock that the test moves.
func scripted(terminal bool) (*timeline, *strings.Builder, func(time.Duration)) {
	var out strings.Builder
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t := newTimeline(&out, terminal, func() time.Time { return now })
	return t, &out, func(d time.Duration) { now = now.Add(d) }
}

func TestTimelineOfSteps(t *testing.T) {
	line, out, pass := scripted(false)
	pass(1500 * time.Millisecond)
	line.done("Kubernetes", "v1.37.1")
	pass(time.Minute)
	line.done("Everything stopped", "")
	line.failure(errors.New("Operator: gone"), []string{"one", "two"}, "manager.log")

	want := `   1.5s ✓ Kubernetes               v1.37.1
  61.5s ✓ Everything stopped
  61.5s ✗ Operator: gone

The operator's last log lines (all of them are in manager.log):
  one
  two
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the timeline differs (-want +got):\n%s", diff)
	}
}

func TestCountdownOnATerminalStaysOnOneLine(t *testing.T) {
	line, out, pass := scripted(true)
	for left := 3; left >= 0; left-- {
		line.countdown(time.Duration(left) * time.Second)
		pass(time.Second)
	}
	if got := out.String(); strings.Contains(got, "\n") || strings.Count(got, "\r") != 4 || !strings.Contains(got, " 0s") {
		t.Errorf("the countdown is %q, want four overwritten numbers without a line break", got)
	}
	line.done("Conversation is closed", "")
	if got := out.String(); !strings.Contains(got, "\r\x1b[K   4.0s ✓ Conversation is closed\n") {
		t.Errorf("the step does not erase the countdown: %q", got)
	}
}

func TestCountdownElsewhereIsSparse(t *testing.T) {
	line, out, pass := scripted(false)
	for left := 60; left >= 0; left-- {
		line.countdown(time.Duration(left) * time.Second)
		pass(time.Second)
	}
	want := `   0.0s … Nobody writes            1m0s
  15.0s … Nobody writes            45s
  30.0s … Nobody writes            30s
  45.0s … Nobody writes            15s
  60.0s … Nobody writes            0s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the countdown differs (-want +got):\n%s", diff)
	}
}

func TestCountdownNeverGoesBelowZero(t *testing.T) {
	line, out, _ := scripted(false)
	line.countdown(-3 * time.Second)
	if !strings.HasSuffix(out.String(), " 0s\n") {
		t.Errorf("the countdown is %q, want 0s", out.String())
	}
}
