package inactivity

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// Subject is the task that decides which policy a conversation belongs to.
type Subject struct {
	SID string
	// Queue is the friendly name of the task's queue.
	Queue    string
	QueueSID string
	// Channel is the task attribute channelType.
	Channel  string
	Priority int
	// Age since the task was made.
	Age time.Duration
	// Attributes as json.Unmarshal gives them. They are not changed.
	Attributes map[string]any
}

// Selector chooses the conversations that a policy is for. The zero value chooses every conversation. A Selector never
// changes, so it can be used by several goroutines.
type Selector struct {
	channels   []string
	taskQueues []string
	program    cel.Program
	// nullable are the attributes that are null for the expression when a task lacks them, in order.
	nullable []string
}

// newSelector reads a selector and compiles its expression; nil chooses every conversation. When the expression is wrong, the
// Selector that is returned beside the error still has the channels and queues. The error is one line, says where the
// expression is wrong and, where that is likely, what was meant.
func newSelector(spec *v1alpha1.Selector) (Selector, error) {
	if spec == nil {
		return Selector{}, nil
	}
	selector := Selector{channels: slices.Clone(spec.Channels), taskQueues: slices.Clone(spec.TaskQueues)}
	if spec.Expression == "" {
		return selector, nil
	}
	program, nullable, err := compile(spec.Expression)
	if err != nil {
		return selector, errors.New(clipped("spec.selector.expression: "+err.Error(), maxSentence))
	}
	selector.program, selector.nullable = program, nullable
	return selector, nil
}

// Matches reports whether the selector chooses the task: its channel is one of the channels in any case, its queue has one of
// the names or SIDs, and the expression is true. What is absent from the selector chooses all. The error is
// ErrExpressionFailed, and only for tasks that channels and queues choose.
func (s Selector) Matches(subject Subject) (bool, error) {
	if len(s.channels) > 0 && !slices.ContainsFunc(s.channels, func(channel string) bool { return strings.EqualFold(channel, subject.Channel) }) {
		return false, nil
	}
	if len(s.taskQueues) > 0 && !slices.ContainsFunc(s.taskQueues, func(queue string) bool { return queue == subject.Queue || queue == subject.QueueSID }) {
		return false, nil
	}
	if s.program == nil {
		return true, nil
	}
	result, _, err := s.program.Eval(map[string]any{taskVariable: subject.variable(s.nullable)})
	if err != nil {
		return false, ErrExpressionFailed // the cause may quote the attributes
	}
	matches, isBool := result.Value().(bool)
	if !isBool {
		return false, ErrExpressionFailed
	}
	return matches, nil
}

// variable is the task as the expression sees it, with the fields of taskFields.
func (s Subject) variable(nullable []string) map[string]any {
	attributes := make(map[string]any, len(s.Attributes)+len(nullable))
	for _, key := range nullable {
		attributes[key] = nil
	}
	maps.Copy(attributes, s.Attributes)
	return map[string]any{
		"sid": s.SID, "queue": s.Queue, "queueSid": s.QueueSID, "channel": s.Channel,
		"priority": s.Priority, "age": int64(s.Age / time.Second), attributesField: attributes,
	}
}
