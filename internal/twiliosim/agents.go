package twiliosim

import (
	"fmt"
	"slices"
)

// Accept is an agent who accepts a reservation: the task is assigned, the agent joins the conversation. When the task
// was made by Transfer, the earlier agents leave and their tasks are completed.
func (s *Simulator) Accept(reservationSID string) error {
	return s.reservationAct(reservationSID, "accepts", func(rv *reservation) error {
		if refusal := s.acceptReservation(rv); refusal != nil {
			return refusal
		}
		return nil
	})
}

// Reject is an agent who rejects a reservation: the task is pending again until it is offered with Offer.
func (s *Simulator) Reject(reservationSID string) error {
	return s.reservationAct(reservationSID, "rejects", func(rv *reservation) error {
		if refusal := s.moveReservation(rv, statusRejected); refusal != nil {
			return refusal
		}
		return nil
	})
}

func (s *Simulator) reservationAct(sid, what string, act func(*reservation) error) error {
	s.lock()
	defer s.mu.Unlock()
	rv, known := s.reservations[sid]
	if !known {
		return fmt.Errorf("agent %s: there is no reservation %s", what, sid)
	}
	s.note(KindPeople, "agent "+what, sid)
	if err := act(rv); err != nil {
		return fmt.Errorf("agent %s: %w", what, err)
	}
	return nil
}

// Offer reserves a pending task for the next agent.
func (s *Simulator) Offer(taskSID string) (reservationSID string, err error) {
	err = s.taskAct(taskSID, "is offered", func(t *task) error {
		if t.status != statusPending {
			return fmt.Errorf("task %s is %s, not pending", t.sid, t.status)
		}
		reservationSID = s.reserve(t).sid
		return nil
	})
	return reservationSID, err
}

// AgentWrapsUp is an agent who ends the conversation's task and does the after-call work.
func (s *Simulator) AgentWrapsUp(taskSID string) error {
	return s.taskAct(taskSID, "is wrapped up", func(t *task) error { return s.agentMoves(t, statusWrapping) })
}

// AgentCompletes is an agent who completes a task, from assigned or after the after-call work. The conversation and
// its channel stay as they are.
func (s *Simulator) AgentCompletes(taskSID string) error {
	return s.taskAct(taskSID, "is completed", func(t *task) error { return s.agentMoves(t, statusCompleted) })
}

func (s *Simulator) agentMoves(t *task, status string) error {
	if refusal := s.moveTask(t, status, ""); refusal != nil {
		return refusal
	}
	return nil
}

func (s *Simulator) taskAct(sid, what string, act func(*task) error) error {
	s.lock()
	defer s.mu.Unlock()
	for _, w := range s.workspaces.order {
		if t, known := w.tasks.get(sid); known {
			s.note(KindPeople, "task "+what, sid)
			if err := act(t); err != nil {
				return fmt.Errorf("task %s: %w", what, err)
			}
			return nil
		}
	}
	return fmt.Errorf("task %s: there is no task %s", what, sid)
}

// Destination is where an agent transfers a conversation to. The zero value is the queue that it is in.
type Destination struct {
	// Queue is a task queue of the workspace, by name or SID; that of the newest task when empty.
	Queue string `json:"queue"`
	// Priority is that of the new task; that of the newest task when 0.
	Priority int `json:"priority"`
	// Attributes are further attributes of the new task. Those of the earlier task are not carried over.
	Attributes map[string]any `json:"attributes"`
}

// Transfer is an agent who transfers the conversation to whoever is next in its queue: a new task with a new reservation
// on the same conversation and channel, whose status is transfer until the reservation is accepted.
func (s *Simulator) Transfer(conversationSID string) (Started, error) {
	return s.TransferTo(conversationSID, Destination{})
}

// TransferTo is Transfer to somewhere else.
func (s *Simulator) TransferTo(conversationSID string, to Destination) (Started, error) {
	s.lock()
	defer s.mu.Unlock()
	started, err := s.transfer(conversationSID, to)
	if err != nil {
		return Started{}, fmt.Errorf("transfer: %w", err)
	}
	return started, nil
}

func (s *Simulator) transfer(conversationSID string, to Destination) (Started, error) {
	c, _, err := s.served(conversationSID)
	if err != nil {
		return Started{}, err
	}
	next := c.again()
	next.transfer, next.attributes = true, to.Attributes
	if next.queue, err = c.workspace.queueOr(to.Queue, c.queue); err != nil {
		return Started{}, err
	}
	if to.Priority < 0 {
		return Started{}, fmt.Errorf("priority is %d: say 0 or more", to.Priority)
	}
	if to.Priority > 0 {
		next.priority = to.Priority
	}
	s.note(KindPeople, "agent transfers", c.sid)
	if _, err := s.invite(c, next); err != nil {
		return Started{}, err
	}
	if c.channel != nil {
		c.channel.status = channelTransfer
	}
	return c.latest(), nil
}

// Leave is an agent who leaves: the task wraps up, the channel is inactive, the conversation stays open. When the
// customer writes again there is a new task.
func (s *Simulator) Leave(conversationSID string) error {
	return s.park(conversationSID, "agent leaves", channelInactive)
}

// Pause is an agent who pauses the conversation: the task is completed, the channel paused until Resume.
func (s *Simulator) Pause(conversationSID string) error {
	return s.park(conversationSID, "agent pauses", channelPause)
}

func (s *Simulator) park(conversationSID, what, status string) error {
	s.lock()
	defer s.mu.Unlock()
	c, rv, err := s.served(conversationSID)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case c.channel == nil:
		return fmt.Errorf("%s: conversation %s has no interaction channel", what, c.sid)
	}
	s.note(KindPeople, what, c.sid)
	c.channel.status = status
	if status == channelPause {
		s.completeTask(rv.task, "")
	} else {
		s.wrapTask(rv.task, "")
	}
	s.removeAgent(c, rv.worker)
	return nil
}

// Resume is an agent who takes a paused conversation up again: a new task, accepted at once.
func (s *Simulator) Resume(conversationSID string) (Started, error) {
	s.lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationSID)
	switch {
	case err != nil:
		return Started{}, fmt.Errorf("resume: %w", err)
	case c.channel == nil || c.channel.status != channelPause:
		return Started{}, fmt.Errorf("resume: conversation %s is not paused", c.sid)
	}
	s.note(KindPeople, "agent resumes", c.sid)
	t, err := s.invite(c, c.again())
	if err != nil {
		return Started{}, fmt.Errorf("resume: %w", err)
	}
	c.channel.status = channelActive
	if refusal := s.acceptReservation(t.reservations.order[0]); refusal != nil {
		return Started{}, fmt.Errorf("resume: %w", refusal)
	}
	return c.latest(), nil
}

// served finds a conversation that an agent serves, and the agent's reservation. The caller holds the state.
func (s *Simulator) served(conversationSID string) (*conversation, *reservation, error) {
	c, err := s.find(conversationSID)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range slices.Backward(c.tasks) {
		if t.status != statusAssigned {
			continue
		}
		for _, rv := range slices.Backward(t.reservations.order) {
			if rv.status == statusAccepted {
				return c, rv, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no agent serves conversation %s: accept a reservation first", c.sid)
}

// joinAgent brings the agent of an accepted reservation into the conversation. The caller holds the state.
func (s *Simulator) joinAgent(rv *reservation) {
	t := rv.task
	c := t.conversation
	if c == nil || c.deleted || c.state == stateClosed {
		return
	}
	if t.transfer {
		for _, earlier := range slices.Clone(c.tasks) {
			if earlier == t || !earlier.live() || earlier.status == statusPending || earlier.status == statusReserved {
				continue
			}
			for _, old := range earlier.reservations.order {
				s.removeAgent(c, old.worker)
			}
			s.wrapTask(earlier, "")
			s.completeTask(earlier, "")
		}
	}
	present := slices.ContainsFunc(c.participants.order, func(p *participant) bool { return p.identity == rv.worker.name })
	if !present {
		p := s.addParticipant(c, &participant{identity: rv.worker.name, roleSID: s.account.agentRoleSID})
		s.participantEvent(c, p, "onParticipantAdded", "API")
	}
	if ch := t.interaction; ch != nil && ch.status != channelClosed {
		ch.status = channelActive
		ch.participants.add(&interactionParticipant{resource: s.newResource("UT"), kind: Agent, reservation: rv})
	}
}

// removeAgent takes an agent out of the conversation's participants. The caller holds the state.
func (s *Simulator) removeAgent(c *conversation, w *worker) {
	for _, p := range slices.Clone(c.participants.order) {
		if p.identity == w.name {
			c.participants.remove(p)
			s.participantEvent(c, p, "onParticipantRemoved", "API")
		}
	}
}
