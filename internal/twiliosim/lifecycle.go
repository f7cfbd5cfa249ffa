package twiliosim

import (
	"slices"
	"time"
)

const (
	// terminalTaskLifetime is how long a completed or canceled task can still be read
	// (https://www.twilio.com/docs/taskrouter/lifecycle-task-state).
	terminalTaskLifetime = 5 * time.Minute
	// reasonNobodyAccepted is the reason Twilio gives for a task that timed out.
	reasonNobodyAccepted = "Task TTL Exceeded or Max assignment count exceeded"
)

// newTask makes a pending task. It is announced when its fields are complete. The caller holds the state.
func (s *Simulator) newTask(w *workspace, attributes string, channel named, timeout int) *task {
	t := &task{
		resource:  s.newResource("WT"),
		workspace: w,
		status:    statusPending,
		channel:   channel,
		queue:     w.queue,
		workflow:  w.workflow,
		timeout:   timeout,
		virtual:   s.now,
		created:   s.now,
		updated:   s.now,
	}
	if err := s.setTaskAttributes(t, attributes); err != nil {
		panic("twilio simulator: task attributes were not checked: " + err.Error())
	}
	w.tasks.add(t)
	t.expiry = s.at(s.now.Add(time.Duration(timeout)*time.Second), func() {
		s.note(KindTimer, "task timed out", t.sid)
		s.cancelTask(t, reasonNobodyAccepted)
	})
	return t
}

// announceTask sends the events of a new task and reserves it for a free agent. The caller holds the state.
func (s *Simulator) announceTask(t *task) *reservation {
	s.taskEvent(t, "task.created", "Task "+t.sid+" created")
	s.taskEvent(t, "task-queue.entered", "Task "+t.sid+" entered TaskQueue "+t.queue.name)
	return s.reserve(t)
}

// reserve offers a pending task to the next agent. The caller holds the state.
func (s *Simulator) reserve(t *task) *reservation {
	w := t.workspace
	rv := &reservation{
		resource: s.newResource("WR"),
		task:     t,
		worker:   w.nextAgent(),
		status:   statusPending,
		created:  s.now,
		updated:  s.now,
	}
	w.nextWorker++
	t.reservations.add(rv)
	s.reservations[rv.sid] = rv
	t.status = statusReserved
	s.touch(t)
	s.reservationEvent(rv, "reservation.created", "Reservation "+rv.sid+" created")
	return rv
}

// touch dates a change of a task and makes its ETag a new one. The caller holds the state.
func (s *Simulator) touch(t *task) {
	t.version++
	t.updated = s.now
}

func (s *Simulator) setReservation(rv *reservation, status string) {
	rv.status = status
	rv.version++
	rv.updated = s.now
}

// acceptReservation is an agent's click on Accept. The caller holds the state.
func (s *Simulator) acceptReservation(rv *reservation) *apiError {
	t := rv.task
	if rv.status != statusPending {
		return invalid("Reservation %s is already in state [%s] and cannot be updated to [accepted]", rv.sid, rv.status)
	}
	s.setReservation(rv, statusAccepted)
	t.status = statusAssigned
	s.touch(t)
	s.unschedule(t.expiry)
	assigned := s.now
	if s.opts.Dialect.AssignedTaskCountsFromCreation {
		assigned = t.created
	}
	t.expiry = s.at(assigned.Add(assignedTaskLifetime), func() {
		if t.status == statusAssigned {
			s.note(KindTimer, "assigned task expired", t.sid)
			s.taskEvent(t, "task.system-deleted", "Task "+t.sid+" deleted by the system")
			s.removeTask(t)
		}
	})
	s.reservationEvent(rv, "reservation.accepted", "Reservation "+rv.sid+" accepted")
	s.joinAgent(rv)
	return nil
}

// moveTask is an update of AssignmentStatus by REST. The caller holds the state.
func (s *Simulator) moveTask(t *task, status, reason string) *apiError {
	switch status {
	case statusCanceled:
		if t.status != statusPending && t.status != statusReserved {
			return invalid("Cannot cancel task %s in workspace %s for account %s because it is not pending or reserved.",
				t.sid, t.workspace.sid, s.accountSID)
		}
		s.cancelTask(t, reason)
	case statusWrapping:
		if t.status != statusAssigned {
			return invalid("Cannot wrap up task %s in workspace %s for account %s because it is not currently assigned.",
				t.sid, t.workspace.sid, s.accountSID)
		}
		s.wrapTask(t, reason)
	case statusCompleted:
		if t.status != statusAssigned && t.status != statusWrapping {
			return invalid("Cannot complete task %s in workspace %s for account %s because it is not currently assigned.",
				t.sid, t.workspace.sid, s.accountSID)
		}
		s.completeTask(t, reason)
	case statusPending, statusReserved, statusAssigned:
		return invalid("Cannot update task %s from %s to %s: only TaskRouter assigns", t.sid, t.status, status)
	default:
		return invalid("AssignmentStatus %q is not one of canceled, wrapping, completed", status)
	}
	return nil
}

// wrapTask puts an assigned task into wrap-up; others are left alone. The caller holds the state.
func (s *Simulator) wrapTask(t *task, reason string) {
	if t.status != statusAssigned {
		return
	}
	t.status = statusWrapping
	if reason != "" {
		t.reason = reason
	}
	s.touch(t)
	s.taskEvent(t, "task.wrapup", "Task "+t.sid+" wrapping up")
	for _, rv := range t.reservations.order {
		if rv.status == statusAccepted {
			s.setReservation(rv, statusWrapping)
			s.reservationEvent(rv, "reservation.wrapup", "Reservation "+rv.sid+" wrapping up")
		}
	}
}

// completeTask ends an assigned or wrapping task; others are left alone. The caller holds the state.
func (s *Simulator) completeTask(t *task, reason string) {
	if t.status != statusAssigned && t.status != statusWrapping {
		return
	}
	t.status = statusCompleted
	if reason != "" {
		t.reason = reason
	}
	s.touch(t)
	s.taskEvent(t, "task.completed", "Task "+t.sid+" completed")
	for _, rv := range t.reservations.order {
		if rv.status == statusAccepted || rv.status == statusWrapping {
			s.setReservation(rv, statusCompleted)
			s.reservationEvent(rv, "reservation.completed", "Reservation "+rv.sid+" completed")
		}
	}
	s.expireTask(t)
}

// cancelTask ends a task that nobody accepted; others are left alone. The caller holds the state.
func (s *Simulator) cancelTask(t *task, reason string) {
	if t.status != statusPending && t.status != statusReserved {
		return
	}
	t.status = statusCanceled
	t.reason = reason
	s.touch(t)
	s.taskEvent(t, "task.canceled", "Task "+t.sid+" canceled")
	for _, rv := range t.reservations.order {
		if rv.status == statusPending {
			s.setReservation(rv, statusCanceled)
			s.reservationEvent(rv, "reservation.canceled", "Reservation "+rv.sid+" canceled")
		}
	}
	s.expireTask(t)
}

// expireTask lets a finished task be deleted, without an event, after Twilio's five minutes. The caller holds the state.
func (s *Simulator) expireTask(t *task) {
	s.unschedule(t.expiry)
	t.expiry = s.at(s.now.Add(terminalTaskLifetime), func() {
		s.note(KindTimer, "finished task deleted", t.sid)
		s.removeTask(t)
	})
}

// removeTask forgets a task: from now on it is not found. The caller holds the state.
func (s *Simulator) removeTask(t *task) {
	s.unschedule(t.expiry)
	t.workspace.tasks.remove(t)
	for _, rv := range t.reservations.order {
		delete(s.reservations, rv.sid)
	}
	if c := t.conversation; c != nil {
		c.tasks = slices.DeleteFunc(c.tasks, func(o *task) bool { return o == t })
	}
}

// note records what a person or a timer did. The caller holds the state.
func (s *Simulator) note(kind, event, resource string) {
	s.record(&Entry{Kind: kind, Event: event, Path: resource})
}
