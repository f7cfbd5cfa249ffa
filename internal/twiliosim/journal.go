package twiliosim

import (
	"net/url"
	"slices"
	"time"
)

// Kinds of journal entries.
const (
	// KindRequest is a REST request.
	KindRequest = "request"
	// KindCallback is one attempt to deliver a callback: a TaskRouter event or a conversation webhook.
	KindCallback = "callback"
	// KindPeople is something that a person did: wrote, accepted, left.
	KindPeople = "people"
	// KindTimer is a timer of Twilio's that changed something.
	KindTimer = "timer"
)

// Entry is one line of the journal.
type Entry struct {
	// Seq counts entries from 1.
	Seq int `json:"seq"`
	// Time is when it was recorded, by the simulator's clock.
	Time time.Time `json:"time"`
	// Kind says what it is: one of the Kind constants.
	Kind string `json:"kind"`
	// Method, Path, Query and Form are those of a request or callback; Path is also the resource of the other kinds.
	Method string     `json:"method,omitempty"`
	Path   string     `json:"path,omitempty"`
	Query  url.Values `json:"query,omitempty"`
	Form   url.Values `json:"form,omitempty"`
	// URL is where a callback was sent, without its fragment.
	URL string `json:"url,omitempty"`
	// Event is the EventType of a callback, or what a person or timer did.
	Event string `json:"event,omitempty"`
	// Status is the HTTP status of the answer; 0 when there was none. Code is Twilio's error code.
	Status int `json:"status,omitempty"`
	Code   int `json:"code,omitempty"`
	// Write is true for every REST request that is not a read, whether it was accepted or not.
	Write bool `json:"write,omitempty"`
	// Effect is true for a write that was carried out, also when its answer was lost.
	Effect bool `json:"effect,omitempty"`
	// Attempt counts the deliveries of one callback from 1.
	Attempt int `json:"attempt,omitempty"`
	// Fault says which injected fault met a request.
	Fault string `json:"fault,omitempty"`
	// Error says why a callback was not delivered.
	Error string `json:"error,omitempty"`
}

// Journal is everything that has happened, oldest first.
func (s *Simulator) Journal() []Entry { return s.JournalSince(0) }

// JournalSince is the part of the journal after the entry with the given Seq.
func (s *Simulator) JournalSince(seq int) []Entry {
	s.lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal[min(max(seq, 0), len(s.journal)):])
}

// Writes is the part of the journal that holds the REST writes, refused ones included.
func (s *Simulator) Writes() []Entry {
	return slices.DeleteFunc(s.Journal(), func(e Entry) bool { return !e.Write })
}

// record numbers, dates and keeps an entry. The caller holds the state.
func (s *Simulator) record(e *Entry) {
	e.Seq = len(s.journal) + 1
	e.Time = s.now.UTC()
	s.journal = append(s.journal, *e)
	s.logf("%s %s %s%s %s status=%d code=%d %s%s",
		e.Kind, e.Method, e.URL, e.Path, e.Event, e.Status, e.Code, e.Fault, e.Error)
}
