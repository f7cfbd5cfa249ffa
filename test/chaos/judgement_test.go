//go:build chaos

package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
	"github.com/flexops-dev/inactivity-operator/test/marker"
)

// judgement is one write under judgement.
type judgement struct {
	*checker
	*life
	event
	terms terms
	one   twiliosim.Entry
	by    string
}

func (j judgement) wrong(format string, args ...any) {
	j.w.wrong("entry %d at %.1fs, %s: %s %s %v (%s, %s): %s", j.seq, j.at.Sub(j.w.begun).Seconds(), j.by, j.one.Method, j.one.Path, j.one.Form,
		j.kind, j.started.ConversationSID, fmt.Sprintf(format, args...))
}

// read is the place in the journal where the replica last read a part of the conversation; 0: it has not.
func (j judgement) read(part string) int {
	return j.reads[[3]string{j.by, j.started.ConversationSID, part}]
}

// touchable checks that nobody had put the conversation aside, as far as the replica could know.
func (j judgement) touchable() {
	if j.closed.seq > 0 && j.read(shownByTasks) > j.closed.seq {
		j.wrong("I4: it had read that the conversation has ended")
	}
	for _, put := range j.asides {
		known := len(put.shown) == 0
		for _, part := range put.shown {
			known = known || j.read(part) > put.seq
		}
		if known || j.at.Sub(put.at) > stale {
			j.wrong("I4: nobody may touch it since %.1fs: %s", put.at.Sub(j.w.begun).Seconds(), put.why)
		}
	}
}

// known are the messages of people that the replica had read.
func (j judgement) known() (known []event) {
	for _, said := range j.said {
		if said.seq < j.read(partMessages) {
			known = append(known, said)
		}
	}
	return known
}

// start is when the clock began by what the replica knew: in whole seconds, as Twilio dates.
func (j judgement) start() time.Time {
	start := j.since
	for _, said := range j.known() {
		start = later(start, said.at.Truncate(time.Second))
	}
	for _, accepted := range j.accepts {
		if accepted.seq < j.read(shownByTasks) {
			start = later(start, accepted.at.Truncate(time.Second))
		}
	}
	return start
}

// due checks that the timeout is over, but for what the step comes before it.
func (j judgement) due(before time.Duration) {
	start := j.start()
	if passed := j.at.Sub(start); passed < j.terms.timeout-before {
		j.wrong("I1: only %s have passed of %s since %.1fs", passed.Round(time.Millisecond), j.terms.timeout-before, start.Sub(j.w.begun).Seconds())
	}
	if latest := j.read(partMessages); latest == 0 {
		j.wrong("I1: the messages were never read")
	}
}

// text judges a warning or a notice.
func (j judgement) text(own marker.Entry, marked bool) {
	if !marked || own.Policy != j.terms.name {
		j.wrong("the text is not marked as %s's: %+v", j.terms.name, own)
		return
	}
	for _, earlier := range j.texts {
		same := earlier.Episode == own.Episode || !j.newSilenceSince(earlier.IdleSince)
		switch {
		case same && earlier.Step == own.Step && earlier.BeforeSeconds == own.BeforeSeconds:
			j.wrong("I2: the %s was sent at %.1fs already, by %s", own.Step, earlier.at.Sub(j.w.begun).Seconds(), earlier.by)
		case same && earlier.Step == "notice":
			j.wrong("I2: a %s after the notice", own.Step)
		case same && own.Step == "notice" && j.at.Sub(earlier.at.Truncate(time.Second)) < time.Duration(earlier.BeforeSeconds)*time.Second:
			j.wrong("the customer was warned %d s before the end, and told after %s", earlier.BeforeSeconds, j.at.Sub(earlier.at))
		}
	}
	before := own.Before()
	if own.Step == "warning" && before != j.terms.warning {
		j.wrong("there is no such warning")
	}
	j.due(before)
	j.texts = append(j.texts, sentText{j.event, own, j.by})
	j.w.counts.add("texts: "+own.Step, 1)
}

// newSilenceSince reports whether a person has written, or an agent accepted, since a silence began.
func (j judgement) newSilenceSince(begun time.Time) bool {
	after := func(e event) bool { return e.at.Truncate(time.Second).After(begun) }
	return slices.ContainsFunc(j.said, after) || slices.ContainsFunc(j.accepts, after)
}

// claim judges the operator's entry on a task.
func (j judgement) claim(own marker.Entry, found bool) {
	if !found || own.Policy != j.terms.name {
		j.wrong("attributes without an entry of %s", j.terms.name)
		return
	}
	j.due(time.Duration(own.BeforeSeconds) * time.Second)
	if own.Step == "finish" {
		j.claims = append(j.claims, sentText{j.event, own, j.by})
	}
}

// ending judges what ends tasks and conversation: a notice or an announcement has to be there, and nobody may have written
// since the silence began that it is about, as far as the replica has read after its own text.
func (j judgement) ending() {
	var begun time.Time
	found := false
	for _, text := range slices.Concat(j.texts, j.claims) {
		if text.Step == "notice" || text.Step == "finish" {
			begun, found = later(begun, text.Begun()), true
		}
		if text.by == j.by && j.read(partMessages) < text.seq {
			j.wrong("I1: the messages were not read again after the text of %.1fs", text.at.Sub(j.w.begun).Seconds())
		}
	}
	if !found {
		j.wrong("an ending that nothing has announced")
		return
	}
	for _, said := range j.known() {
		if said.at.Truncate(time.Second).After(begun) {
			j.wrong("I1: somebody has written at %.1fs, which the replica has read", said.at.Sub(j.w.begun).Seconds())
		}
	}
	if j.at.Sub(begun) < j.terms.timeout {
		j.wrong("I1: the silence is only %s long", j.at.Sub(begun))
	}
}
