package inactivity

import "time"

// Acceptance is what a reservation.accepted event says of the reservation it is about: an observation made by Twilio
// itself at that moment, so that a conversation can be armed without reading its task again.
type Acceptance struct {
	// TaskSID is the task that was accepted.
	TaskSID string
	// ReservationSID is the reservation through which it was.
	ReservationSID string
	// Attributes are the task's attributes as JSON text.
	Attributes string
	// AssignmentStatus is the task's status after the accept.
	AssignmentStatus string
	// TaskQueueSID and TaskQueueName are the queue from which the task was accepted.
	TaskQueueSID, TaskQueueName string
	// TaskPriority is the task's priority in TaskRouter.
	TaskPriority int
	// TaskAge is how long before At the task was created, in whole seconds.
	TaskAge time.Duration
	// At is when the agent accepted, by Twilio's clock.
	At time.Time
}
