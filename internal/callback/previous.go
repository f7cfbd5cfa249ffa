package callback

import (
	"encoding/json"
	"slices"
	"strings"
)

// Previous is what a workspace's callback was before the operator took it over. It is kept in an annotation of every
// policy of the workspace, because status may be wiped and the first policy may go before the others.
type Previous struct {
	WorkspaceSID string `json:"workspaceSid"`
	// AccountSID owns the workspace: to another account's credentials it does not exist, which is no proof that it is gone.
	AccountSID string `json:"accountSid,omitempty"`
	URL        string `json:"url"`
	Filter     string `json:"filter"`
	// Forward says that the events which went to URL still go there, by way of the operator.
	Forward bool `json:"forward,omitempty"`
	// Applied is the URL that the operator sets, by which it is recognised after the public URL has changed.
	Applied string `json:"applied"`
	// Replaced is the operator's own earlier URL while that is still in the slot: setting Applied may fail, and the next
	// attempt must not take it for somebody else's.
	Replaced string `json:"replaced,omitempty"`
	// Guessed says that the operator's URL was in the slot already and no record was found. A record that another policy
	// of the workspace turns out to have is believed instead.
	Guessed bool `json:"guessed,omitempty"`
	// Set says that the operator's URL has been seen in the slot since. Until then a write may be on its way; after that, URL
	// in the slot means that somebody has put it back.
	Set bool `json:"set,omitempty"`
}

// ParsePrevious reads a record from the text of its annotation; nil when it is none, or names no workspace.
func ParsePrevious(text string) *Previous {
	var record Previous
	if json.Unmarshal([]byte(text), &record) != nil || record.WorkspaceSID == "" {
		return nil
	}
	return &record
}

// Knows reports whether the operator has set the URL, as far as the record tells. A nil record knows none.
func (p *Previous) Knows(observed string) bool {
	return p != nil && (SameEndpoint(observed, p.Applied) || SameEndpoint(observed, p.Replaced))
}

// Is reports whether the record is of just this callback. One with another filter is another one: put back, it would undo
// what somebody has changed since.
func (p *Previous) Is(url, filter string) bool { return p.URL == url && p.Filter == filter }

// KnowsMoreThan reports whether the record is believed rather than another one of the same workspace, which may be nil: what
// is recorded rather than a guess, and somebody's callback rather than a free slot. A policy finds a slot free that another
// one has had, which is not known just then, when somebody has removed the callback by hand; what that other one found there
// still has to come back.
func (p *Previous) KnowsMoreThan(other *Previous) bool {
	switch {
	case other == nil || p.Guessed != other.Guessed:
		return other == nil || other.Guessed
	default:
		return p.URL != "" && other.URL == ""
	}
}

// Forwards reports whether there is somebody to forward events to, and they are to be forwarded.
func (p *Previous) Forwards() bool { return p != nil && p.Forward && p.URL != "" }

// Passes reports whether the other party got events of the type. A filter that is empty let all of them pass: that is the
// common reading, Twilio's documentation does not say.
func (p *Previous) Passes(event string) bool {
	names := Events(p.Filter)
	return len(names) == 0 || slices.Contains(names, event)
}

// ForwardingFilter returns the EventsFilter of a workspace whose events are forwarded: the observed one, with whatever is
// missing of the other party's events and of those that the operator needs itself. If the other party's filter was empty
// it has to stay so, because naming one event would keep the others from it.
func (p *Previous) ForwardingFilter(observed, needed string) string {
	names := Events(p.Filter)
	if len(names) == 0 {
		return ""
	}
	return WithEvents(observed, append(names, needed)...)
}

// Events returns the names in an EventsFilter. Twilio's own examples write the list with and without spaces:
// https://www.twilio.com/docs/taskrouter/api/workspace
func Events(filter string) []string {
	var names []string
	for name := range strings.SplitSeq(filter, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// WithEvents returns the filter with the events in it, and as it was written when it has them already.
func WithEvents(filter string, events ...string) string {
	names := Events(filter)
	if len(names) == 0 {
		filter = ""
	}
	for _, event := range events {
		if slices.Contains(names, event) {
			continue
		}
		names = append(names, event)
		if filter != "" {
			filter += ","
		}
		filter += event
	}
	return filter
}
