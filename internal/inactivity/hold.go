package inactivity

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// hold is what the policy's hold attribute says of a conversation.
type hold struct {
	// held says that nothing is to be done until the given time; zero: until the attribute changes.
	held  bool
	until time.Time
	// onConversation says that the conversation's own attribute holds it, of whose change nobody hears.
	onConversation bool
	// unreadable says that a value is neither a truth value nor a time. It holds, because it may have been meant to.
	unreadable bool
	// ended is when the last hold that has passed was over; zero: there was none.
	ended time.Time
}

// HeldByTasks is the value of the policy's hold attribute on the tasks that agents have, as far as it holds anything: a
// caller that lists tasks sees by it that a hold has come or gone.
func (p Policy) HeldByTasks(tasks []Task) string {
	if p.HoldAttribute == "" {
		return ""
	}
	var values strings.Builder
	assigned := withStatus(tasks, TaskAssigned)
	slices.SortFunc(assigned, func(a, b Task) int { return strings.Compare(a.SID, b.SID) })
	for _, task := range assigned {
		if fields, err := task.Attributes.object(); err == nil {
			values.Write(fields[p.HoldAttribute])
			values.WriteByte('\n')
		}
	}
	return values.String()
}

// holdOf reads the hold attribute of the tasks and of the conversation. It asks for the conversation unless a task says
// enough.
func (p Policy) holdOf(snapshot Snapshot, tasks []Task) (hold, Need) {
	if p.HoldAttribute == "" {
		return hold{}, 0
	}
	var found hold
	for _, task := range tasks {
		if fields, err := task.Attributes.object(); err == nil {
			found = found.and(readHold(fields[p.HoldAttribute], snapshot.Now))
		}
	}
	switch {
	case found.held && found.until.IsZero():
		return found, 0
	case snapshot.Conversation == nil:
		return found, NeedConversation
	}
	var own hold
	if fields, err := object(snapshot.Conversation.Attributes); err == nil {
		own = readHold(fields[p.HoldAttribute], snapshot.Now)
	}
	found = found.and(own)
	found.onConversation = own.held
	return found, 0
}

// readHold is what a value of the hold attribute says; an attribute that is not there holds nothing.
func readHold(field json.RawMessage, now time.Time) hold {
	var value any
	if len(field) == 0 || json.Unmarshal(field, &value) != nil {
		return hold{}
	}
	switch value := value.(type) {
	case nil:
		return hold{}
	case bool:
		return hold{held: value}
	case string:
		if value == "" {
			return hold{}
		}
		until, err := time.Parse(time.RFC3339, value)
		switch {
		case err != nil:
			return hold{held: true, unreadable: true}
		case now.Before(until):
			return hold{held: true, until: until.UTC()}
		default:
			return hold{ended: until.UTC()}
		}
	}
	return hold{held: true, unreadable: true}
}

// and is what two attributes say together: the longer hold.
func (h hold) and(other hold) hold {
	joined := hold{
		held:       h.held || other.held,
		unreadable: h.unreadable || other.unreadable,
		ended:      later(h.ended, other.ended),
		until:      later(h.until, other.until),
	}
	if h.held && h.until.IsZero() || other.held && other.until.IsZero() {
		joined.until = time.Time{}
	}
	return joined
}
