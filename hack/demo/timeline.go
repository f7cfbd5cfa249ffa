package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// titleWidth lines up what stands behind the steps' titles.
	titleWidth = 24
	// sparse is how often a countdown prints a line where lines cannot be overwritten.
	sparse = 15 * time.Second
)

// timeline prints the steps as they come true, each with the time since the start.
type timeline struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
	start    time.Time

	// counting is true while a countdown occupies the last line; printed is when it was last printed.
	counting bool
	printed  time.Time
}

func newTimeline(w io.Writer, terminal bool, now func() time.Time) *timeline {
	return &timeline{w: w, terminal: terminal, now: now, start: now()}
}

// isTerminal tells whether lines written to f can be overwritten.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func (t *timeline) heading(text string) {
	t.endCountdown()
	fmt.Fprintf(t.w, "\n%s\n\n", text)
}

// text prints lines as they are.
func (t *timeline) text(lines string) {
	t.endCountdown()
	fmt.Fprint(t.w, lines)
}

// done prints a step that came true, with a detail or none.
func (t *timeline) done(title, detail string) {
	t.endCountdown()
	fmt.Fprintln(t.w, strings.TrimRight(fmt.Sprintf("%7s ✓ %-*s %s", t.elapsed(), titleWidth, title, detail), " "))
}

// countdown shows how much is left: on a terminal in place, elsewhere with a line now and then.
func (t *timeline) countdown(left time.Duration) {
	const text = "Nobody writes"
	left = max(left, 0).Round(time.Second)
	if t.terminal {
		// Erase to the end of the line, because the number gets shorter.
		fmt.Fprintf(t.w, "\r%7s … %-*s %s\x1b[K", t.elapsed(), titleWidth, text, left)
		t.counting = true
		return
	}
	if now := t.now(); now.Sub(t.printed) >= sparse {
		t.printed = now
		fmt.Fprintf(t.w, "%7s … %-*s %s\n", t.elapsed(), titleWidth, text, left)
	}
}

func (t *timeline) endCountdown() {
	if t.counting {
		fmt.Fprint(t.w, "\r\x1b[K")
		t.counting = false
	}
}

// failure prints which step failed and why, and the operator's last log lines if there are any.
func (t *timeline) failure(err error, log []string, logFile string) {
	t.endCountdown()
	fmt.Fprintf(t.w, "%7s ✗ %v\n", t.elapsed(), err)
	if len(log) == 0 {
		return
	}
	fmt.Fprintf(t.w, "\nThe operator's last log lines (all of them are in %s):\n", logFile)
	for _, line := range log {
		fmt.Fprintln(t.w, "  "+line)
	}
}

func (t *timeline) elapsed() string {
	return fmt.Sprintf("%.1fs", t.now().Sub(t.start).Seconds())
}
