package twiliosim

import "time"

// State is a snapshot of the whole account. Lists are in the order of creation.
type State struct {
	Now           time.Time           `json:"now"`
	AccountSID    string              `json:"accountSid"`
	Workspaces    []WorkspaceState    `json:"workspaces"`
	Tasks         []TaskState         `json:"tasks"`
	Conversations []ConversationState `json:"conversations"`
	// Deliveries is how many callbacks are on their way.
	Deliveries int `json:"deliveries"`
}

// WorkspaceState is a workspace.
type WorkspaceState struct {
	SID              string `json:"sid"`
	FriendlyName     string `json:"friendlyName"`
	EventCallbackURL string `json:"eventCallbackUrl"`
	EventsFilter     string `json:"eventsFilter"`
}

// TaskState is a task with its reservations.
type TaskState struct {
	SID             string             `json:"sid"`
	WorkspaceSID    string             `json:"workspaceSid"`
	ConversationSID string             `json:"conversationSid,omitempty"`
	Status          string             `json:"status"`
	Reason          string             `json:"reason,omitempty"`
	Queue           string             `json:"queue"` // the task queue's name
	QueueSID        string             `json:"queueSid"`
	Priority        int                `json:"priority"`
	Attributes      string             `json:"attributes"`
	Version         int                `json:"version"`
	Created         time.Time          `json:"created"`
	Updated         time.Time          `json:"updated"`
	Reservations    []ReservationState `json:"reservations"`
}

// ReservationState is a reservation.
type ReservationState struct {
	SID     string    `json:"sid"`
	Status  string    `json:"status"`
	Worker  string    `json:"worker"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// ConversationState is a conversation with all that belongs to it.
type ConversationState struct {
	SID           string             `json:"sid"`
	State         string             `json:"state"`
	Channel       string             `json:"channel,omitempty"`
	ChannelStatus string             `json:"channelStatus,omitempty"` // of the interaction channel
	Attributes    string             `json:"attributes"`
	InactiveAfter time.Duration      `json:"inactiveAfter"` // the timer as it was set; 0 = none
	ClosedAfter   time.Duration      `json:"closedAfter"`
	DateInactive  *time.Time         `json:"dateInactive,omitempty"` // when it fires; nil = it does not run
	DateClosed    *time.Time         `json:"dateClosed,omitempty"`
	Created       time.Time          `json:"created"`
	Updated       time.Time          `json:"updated"`
	Messages      []MessageState     `json:"messages"`
	Participants  []ParticipantState `json:"participants"`
	Webhooks      []WebhookState     `json:"webhooks"`
}

// MessageState is a message.
type MessageState struct {
	SID    string `json:"sid"`
	Index  int    `json:"index"`
	Author string `json:"author"`
	// ParticipantSID is who of the conversation's participants wrote it; "" when none of them did.
	ParticipantSID string `json:"participantSid,omitempty"`
	Body           string `json:"body"` // "" with a content template
	// ContentSID and ContentVariables (JSON text) are those of a content template.
	ContentSID       string    `json:"contentSid,omitempty"`
	ContentVariables string    `json:"contentVariables,omitempty"`
	Attributes       string    `json:"attributes"`
	Created          time.Time `json:"created"`
	// Delivered is false for a message that was accepted and does not reach the customer; ErrorCode says why: 63016 for
	// a free-form message outside the reply window.
	Delivered bool `json:"delivered"`
	ErrorCode int  `json:"errorCode,omitempty"`
}

// ParticipantState is a participant.
type ParticipantState struct {
	SID      string `json:"sid"`
	Identity string `json:"identity,omitempty"`
	Address  string `json:"address,omitempty"`
}

// WebhookState is a scoped webhook.
type WebhookState struct {
	SID     string   `json:"sid"`
	URL     string   `json:"url"`
	Method  string   `json:"method"`
	Filters []string `json:"filters"`
}

// Conversation finds a conversation in the snapshot.
func (s State) Conversation(sid string) (ConversationState, bool) {
	for _, c := range s.Conversations {
		if c.SID == sid {
			return c, true
		}
	}
	return ConversationState{}, false
}

// Task finds a task in the snapshot.
func (s State) Task(sid string) (TaskState, bool) {
	for _, t := range s.Tasks {
		if t.SID == sid {
			return t, true
		}
	}
	return TaskState{}, false
}

// Workspace finds a workspace in the snapshot.
func (s State) Workspace(sid string) (WorkspaceState, bool) {
	for _, w := range s.Workspaces {
		if w.SID == sid {
			return w, true
		}
	}
	return WorkspaceState{}, false
}

// StateOf is one conversation, without its messages, which may be many, and its tasks; false when there is none of that
// SID.
func (s *Simulator) StateOf(conversationSID string) (ConversationState, []TaskState, bool) {
	s.lock()
	defer s.mu.Unlock()
	c, known := s.conversations.get(conversationSID)
	if !known {
		return ConversationState{}, nil, false
	}
	var tasks []TaskState
	for _, t := range c.workspace.tasks.order {
		if t.conversation == c {
			tasks = append(tasks, t.snapshot())
		}
	}
	return c.outline(), tasks, true
}

// State takes a snapshot.
func (s *Simulator) State() State {
	s.lock()
	defer s.mu.Unlock()
	snapshot := State{Now: s.now.UTC(), AccountSID: s.accountSID, Deliveries: s.inFlight,
		Workspaces: []WorkspaceState{}, Tasks: []TaskState{}, Conversations: []ConversationState{}}
	for _, w := range s.workspaces.order {
		snapshot.Workspaces = append(snapshot.Workspaces, WorkspaceState{
			SID: w.sid, FriendlyName: w.friendlyName, EventCallbackURL: w.eventCallbackURL, EventsFilter: w.eventsFilter,
		})
		for _, t := range w.tasks.order {
			snapshot.Tasks = append(snapshot.Tasks, t.snapshot())
		}
	}
	for _, c := range s.conversations.order {
		snapshot.Conversations = append(snapshot.Conversations, c.snapshot())
	}
	return snapshot
}

func (t *task) snapshot() TaskState {
	shown := TaskState{
		SID: t.sid, WorkspaceSID: t.workspace.sid, Status: t.status, Reason: t.reason, Attributes: t.attributes,
		Queue: t.queue.name, QueueSID: t.queue.sid, Priority: t.priority,
		Version: t.version, Created: t.created.UTC(), Updated: t.updated.UTC(), Reservations: []ReservationState{},
	}
	if t.conversation != nil {
		shown.ConversationSID = t.conversation.sid
	}
	for _, rv := range t.reservations.order {
		shown.Reservations = append(shown.Reservations, ReservationState{
			SID: rv.sid, Status: rv.status, Worker: rv.worker.name, Created: rv.created.UTC(), Updated: rv.updated.UTC(),
		})
	}
	return shown
}

// outline is the conversation without its messages.
func (c *conversation) outline() ConversationState {
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	shown := ConversationState{
		SID: c.sid, State: c.state, Channel: c.channelType, Attributes: c.attributes,
		InactiveAfter: c.inactiveAfter, ClosedAfter: c.closedAfter,
		DateInactive: moment(c.dateInactive), DateClosed: moment(c.dateClosed),
		Created: c.created.UTC(), Updated: c.updated.UTC(),
		Messages: []MessageState{}, Participants: []ParticipantState{}, Webhooks: []WebhookState{},
	}
	if c.channel != nil {
		shown.ChannelStatus = c.channel.status
	}
	for _, p := range c.participants.order {
		shown.Participants = append(shown.Participants, ParticipantState{SID: p.sid, Identity: p.identity, Address: p.address})
	}
	for _, w := range c.webhooks.order {
		shown.Webhooks = append(shown.Webhooks, WebhookState{SID: w.sid, URL: w.url, Method: w.method, Filters: w.filters})
	}
	return shown
}

func (c *conversation) snapshot() ConversationState {
	shown := c.outline()
	for _, m := range c.messages.order {
		shown.Messages = append(shown.Messages, MessageState{
			SID: m.sid, Index: m.index, Author: m.author, ParticipantSID: m.participantSID, Body: text(m.body),
			ContentSID: m.contentSID, ContentVariables: m.contentVariables, Attributes: m.attributes, Created: m.created.UTC(),
			Delivered: m.errorCode == 0, ErrorCode: m.errorCode,
		})
	}
	return shown
}
