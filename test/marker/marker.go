// Package marker reads the operator's entry in attributes for the checkers of tests. It is written from the documentation
// (docs/decisions.md) and not with the operator's own code, so that a mistake in that one shows.
package marker

import (
	"encoding/json"
	"time"
)

// Entry is the operator's entry in the attributes of a task or of a message. What an entry does not have is zero.
type Entry struct {
	Policy        string    `json:"policy"`
	Step          string    `json:"step"`
	Episode       string    `json:"episode"`
	At            time.Time `json:"at"`
	IdleSeconds   int64     `json:"idleSeconds"`
	IdleSince     time.Time `json:"idleSince"`
	BeforeSeconds int64     `json:"beforeSeconds"`
	Action        string    `json:"action"`
}

// In reads the entry out of attributes, and reports whether they have one.
func In(attributes string) (Entry, bool) {
	var all map[string]json.RawMessage
	var own Entry
	if json.Unmarshal([]byte(attributes), &all) != nil || json.Unmarshal(all["inactivityPolicy"], &own) != nil {
		return Entry{}, false
	}
	return own, true
}

// Begun is since when the silence lasts that the entry is about.
func (e Entry) Begun() time.Time {
	if !e.IdleSince.IsZero() {
		return e.IdleSince
	}
	return e.At.Add(-time.Duration(e.IdleSeconds) * time.Second)
}

// Before is how long before the end the step is.
func (e Entry) Before() time.Duration { return time.Duration(e.BeforeSeconds) * time.Second }
