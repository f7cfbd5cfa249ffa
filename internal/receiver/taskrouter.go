package receiver

import (
	"net/url"
	"strconv"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

// eventAccepted is the TaskRouter event that starts a conversation's clock:
// https://www.twilio.com/docs/taskrouter/api/event/reference
const eventAccepted = "reservation.accepted"

// The times that an event can be of: what lies outside is another unit or a slip.
var (
	earliestEvent = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	latestEvent   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// decodeTaskRouter reads the event callback of a workspace. Everything but an accepted reservation is ignored: the
// filter that the operator sets asks for nothing else, but other users of the same callback may have asked for more.
func decodeTaskRouter(form url.Values) decoded {
	kind, ok := eventType(form)
	if !ok {
		return malformed("there is no EventType, or several")
	}
	if kind != eventAccepted {
		return ignored()
	}
	raw, ok := single(form, "TaskAttributes")
	if !ok {
		return malformed("there are several TaskAttributes")
	}
	// The attributes belong to other programs, which may write anything; asking Twilio to send the event again would
	// bring the same ones.
	attributes, err := inactivity.ParseTaskAttributes(raw)
	if err != nil {
		return unusable()
	}
	switch {
	case attributes.ConversationSID == "":
		return ignored() // voice and other tasks without a conversation
	case !isSID("CH", attributes.ConversationSID):
		return unusable()
	}
	return decoded{conversationSID: attributes.ConversationSID, accepted: acceptance(form, raw)}
}

// acceptance returns what the event says of the reservation. It is a shortcut for who handles the conversation, so if a
// part of it is missing there is none, and the conversation is looked at without it. The queue and the priority are such
// parts: without them it cannot be told which policy the conversation belongs to.
func acceptance(form url.Values, attributes string) *inactivity.Acceptance {
	task, taskOK := single(form, "TaskSid")
	reservation, reservationOK := single(form, "ReservationSid")
	status, statusOK := single(form, "TaskAssignmentStatus")
	queueSID, queueSIDOK := single(form, "TaskQueueSid")
	queueName, queueNameOK := single(form, "TaskQueueName")
	at, atOK := eventTime(form)
	priority, priorityOK := taskPriority(form)
	age, ageOK := taskAge(form)
	switch {
	case !taskOK || !reservationOK || !statusOK || !queueSIDOK || !queueNameOK || !atOK || !priorityOK || !ageOK:
		return nil
	case !isSID("WT", task) || !isSID("WR", reservation) || !isSID("WQ", queueSID) || status == "" || queueName == "":
		return nil
	}
	return &inactivity.Acceptance{
		TaskSID:          task,
		ReservationSID:   reservation,
		Attributes:       attributes,
		AssignmentStatus: status,
		TaskQueueSID:     queueSID,
		TaskQueueName:    queueName,
		TaskPriority:     priority,
		TaskAge:          age,
		At:               at,
	}
}

// taskPriority returns the task's priority, from 0 to 2,147,483,647 (https://www.twilio.com/docs/taskrouter/api/task).
func taskPriority(form url.Values) (int, bool) {
	text, ok := single(form, "TaskPriority")
	if !ok {
		return 0, false
	}
	priority, err := strconv.ParseUint(text, 10, 31)
	return int(priority), err == nil
}

// taskAge returns how long ago the task was created. 32 bits of seconds are more than a task can live, and fit into a
// duration.
func taskAge(form url.Values) (time.Duration, bool) {
	text, ok := single(form, "TaskAge")
	if !ok {
		return 0, false
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	return time.Duration(seconds) * time.Second, err == nil
}

// eventTime returns when the event happened by Twilio's clock: TimestampMs in milliseconds, else Timestamp in seconds.
func eventTime(form url.Values) (time.Time, bool) {
	if text, ok := single(form, "TimestampMs"); ok {
		if milliseconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			return plausible(time.UnixMilli(milliseconds))
		}
	}
	if text, ok := single(form, "Timestamp"); ok {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			return plausible(time.Unix(seconds, 0))
		}
	}
	return time.Time{}, false
}

func plausible(at time.Time) (time.Time, bool) {
	at = at.UTC()
	return at, at.After(earliestEvent) && at.Before(latestEvent)
}
