package twilio

import (
	"context"
	"time"

	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// Reservation is the offer of a task to a worker (https://www.twilio.com/docs/taskrouter/api/reservations).
type Reservation struct {
	SID     string
	TaskSID string
	// Status is pending, accepted, rejected, timeout, canceled, rescinded, wrapping or completed.
	Status      string
	WorkerSID   string
	DateCreated time.Time
	DateUpdated time.Time
}

func newReservation(r *taskrouter.TaskrouterV1TaskReservation) Reservation {
	return Reservation{
		SID:         value(r.Sid),
		TaskSID:     value(r.TaskSid),
		Status:      value(r.ReservationStatus),
		WorkerSID:   value(r.WorkerSid),
		DateCreated: value(r.DateCreated),
		DateUpdated: value(r.DateUpdated),
	}
}

// ListReservations reads all reservations of a task, of one status unless status is "".
func (c *Client) ListReservations(ctx context.Context, workspaceSID, taskSID, status string) ([]Reservation, error) {
	if err := checkSIDs(opListReservations, workspaceArg(workspaceSID), taskArg(taskSID)); err != nil {
		return nil, err
	}
	params := &taskrouter.ListTaskReservationParams{}
	params.SetPageSize(reservationPageSize)
	if status != "" {
		params.SetReservationStatus(status)
	}
	return listAll(ctx, c, opListReservations, 0, func(x *exchange) ([]Reservation, *string, string, error) {
		page, err := x.taskrouter().PageTaskReservation(workspaceSID, taskSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.Reservations, newReservation), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}
