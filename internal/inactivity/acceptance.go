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
	// At is when the agent accepted, by Twilio's clock.
	At time.Time
}
