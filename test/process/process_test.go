package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
)

// shell starts a shell script as a process and kills it at the end of the test.
func shell(t *testing.T, script string) (*Process, string) {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "log")
	p, err := Start("/bin/sh", logFile, os.Environ(), "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(0) })
	return p, logFile
}

func TestProcessKeepsItsOutput(t *testing.T) {
	p, logFile := shell(t, `echo one; echo two >&2; printf three`)
	<-p.exited
	if diff := cmp.Diff([]string{"two", "three"}, p.LastLines(2)); diff != "" {
		t.Errorf("the last two lines differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, p.LastLines(20)); diff != "" {
		t.Errorf("the last twenty lines differ (-want +got):\n%s", diff)
	}
	if text, err := os.ReadFile(logFile); err != nil || string(text) != "one\ntwo\nthree" {
		t.Errorf("the log file is %q, %v", text, err)
	}
}

func TestProcessForgetsOldLinesAndSplitsEndlessOnes(t *testing.T) {
	p := &Process{}
	p.readLines(bytes.NewReader(bytes.Repeat([]byte("short\n"), 3*keptLines)))
	if got := len(p.LastLines(10 * keptLines)); got != keptLines {
		t.Errorf("%d lines kept, want %d", got, keptLines)
	}
	p = &Process{}
	p.readLines(bytes.NewReader(bytes.Repeat([]byte("x"), 3*longestLine)))
	if got := len(p.LastLines(10)); got != 3 {
		t.Errorf("an endless line became %d lines, want 3", got)
	}
}

func TestStopLetsTheProcessDrain(t *testing.T) {
	p, _ := shell(t, `trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	NewWithT(t).Eventually(func() []string { return p.LastLines(1) }).Should(Equal([]string{"ready"}))
	if err := p.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"drained"}, p.LastLines(1)); diff != "" {
		t.Errorf("the last line differs (-want +got):\n%s", diff)
	}
	if err := p.Stop(time.Minute); err != nil {
		t.Errorf("stopping a stopped process: %v", err)
	}
}

// The child of the stubborn shell holds the pipe that the process's end waits for: that stop returns shows that it died too.
func TestStopKillsTheWholeGroup(t *testing.T) {
	p, _ := shell(t, `trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo ready; while :; do sleep 0.05; done`)
	NewWithT(t).Eventually(func() []string { return p.LastLines(1) }).Should(Equal([]string{"ready"}))
	err := p.Stop(50 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("stop's error is %v, want one that says that it had to kill", err)
	}
}

func TestFailureTellsTheLastWords(t *testing.T) {
	p, _ := shell(t, `echo 'cannot listen: address in use'; exit 3`)
	<-p.exited
	want := "sh ended by itself: exit status 3, its last words: cannot listen: address in use"
	if got := p.Failure().Error(); got != want {
		t.Errorf("failure() = %q, want %q", got, want)
	}
}

func TestStartOfSomethingThatIsNotThere(t *testing.T) {
	if _, err := Start("/nonexistent/manager", filepath.Join(t.TempDir(), "log"), nil); err == nil {
		t.Error("no error")
	}
}
