package twiliosim

import "net/http"

// reservationJSON is a reservation on the wire.
type reservationJSON struct {
	AccountSID        string            `json:"account_sid"`
	DateCreated       string            `json:"date_created"`
	DateUpdated       string            `json:"date_updated"`
	ReservationStatus string            `json:"reservation_status"`
	SID               string            `json:"sid"`
	TaskSID           string            `json:"task_sid"`
	WorkerName        string            `json:"worker_name"`
	WorkerSID         string            `json:"worker_sid"`
	WorkspaceSID      string            `json:"workspace_sid"`
	URL               string            `json:"url"`
	Links             map[string]string `json:"links"`
}

func (s *Simulator) reservationJSON(r *request, rv *reservation) reservationJSON {
	workspace := r.url("/v1/Workspaces/" + rv.task.workspace.sid)
	task := workspace + "/Tasks/" + rv.task.sid
	return reservationJSON{
		AccountSID:        s.accountSID,
		DateCreated:       wireTime(rv.created),
		DateUpdated:       wireTime(rv.updated),
		ReservationStatus: rv.status,
		SID:               rv.sid,
		TaskSID:           rv.task.sid,
		WorkerName:        rv.worker.name,
		WorkerSID:         rv.worker.sid,
		WorkspaceSID:      rv.task.workspace.sid,
		URL:               task + "/Reservations/" + rv.sid,
		Links: map[string]string{
			"task":      task,
			"worker":    workspace + "/Workers/" + rv.worker.sid,
			"workspace": workspace,
		},
	}
}

// reservation finds the reservation of a path /v1/Workspaces/{0}/Tasks/{1}/Reservations/{2}.
func (s *Simulator) reservation(r *request) (*reservation, *apiError) {
	t, refusal := s.task(r)
	if refusal != nil {
		return nil, refusal
	}
	rv, known := t.reservations.get(r.vars[2])
	if !known {
		return nil, notFound("/Workspaces/" + t.workspace.sid + "/Tasks/" + t.sid + "/Reservations/" + r.vars[2])
	}
	return rv, nil
}

func (s *Simulator) listReservations(r *request) (*reply, *apiError) {
	t, refusal := s.task(r)
	if refusal != nil {
		return nil, refusal
	}
	status, worker := r.query.Get("ReservationStatus"), r.query.Get("WorkerSid")
	switch status {
	case "", statusPending, statusAccepted, statusRejected, statusTimeout, statusCanceled, statusRescinded,
		statusWrapping, statusCompleted:
	default:
		return nil, invalid("ReservationStatus %q is unknown", status)
	}
	var items []*reservation
	for _, rv := range t.reservations.order {
		if (status == "" || rv.status == status) && (worker == "" || rv.worker.sid == worker) {
			items = append(items, rv)
		}
	}
	return paginate(r, listing{key: "reservations", maxSize: 1000}, items,
		func(rv *reservation) any { return s.reservationJSON(r, rv) })
}

func (s *Simulator) getReservation(r *request) (*reply, *apiError) {
	rv, refusal := s.reservation(r)
	if refusal != nil {
		return nil, refusal
	}
	return (&reply{status: http.StatusOK, body: s.reservationJSON(r, rv)}).withETag(rv.version), nil
}

func (s *Simulator) updateReservation(r *request) (*reply, *apiError) {
	rv, refusal := s.reservation(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.ifMatch(r, rv.version); refusal != nil {
		return nil, refusal
	}
	if r.has("ReservationStatus") {
		if refusal := s.moveReservation(rv, r.get("ReservationStatus")); refusal != nil {
			return nil, refusal
		}
	}
	return (&reply{status: http.StatusOK, body: s.reservationJSON(r, rv)}).withETag(rv.version), nil
}

// moveReservation is an update of ReservationStatus by REST. The caller holds the state.
func (s *Simulator) moveReservation(rv *reservation, status string) *apiError {
	stuck := invalid("Reservation %s is already in state [%s] and cannot be updated to [%s]", rv.sid, rv.status, status)
	switch status {
	case statusAccepted:
		return s.acceptReservation(rv)
	case statusRejected:
		if rv.status != statusPending {
			return stuck
		}
		s.setReservation(rv, statusRejected)
		rv.task.status = statusPending
		s.touch(rv.task)
		s.reservationEvent(rv, "reservation.rejected", "Reservation "+rv.sid+" rejected")
	case statusWrapping:
		if rv.status != statusAccepted {
			return stuck
		}
		s.wrapTask(rv.task, "")
	case statusCompleted:
		if rv.status != statusAccepted && rv.status != statusWrapping {
			return stuck
		}
		s.completeTask(rv.task, "")
	case statusPending, statusTimeout, statusCanceled, statusRescinded:
		return stuck
	default:
		return invalid("ReservationStatus %q is unknown", status)
	}
	return nil
}
