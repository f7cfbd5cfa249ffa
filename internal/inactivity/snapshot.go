package inactivity

import (
	"time"
)

// MaxWebhooks is how many scoped webhooks a conversation can carry (Twilio error 50361 beyond it:
// https://www.twilio.com/docs/conversations-classic/api/conversation-scoped-webhook-resource).
const MaxWebhooks = 5

// Snapshot is what was seen of one conversation in Twilio. A nil part was not looked at.
type Snapshot struct {
	// Now is Twilio's clock when the snapshot was taken. The pod's clock is not used, so that a pod whose clock is off
	// does not end conversations early.
	Now time.Time
	// JustAccepted says that Tasks holds only the task of a reservation.accepted event that has just arrived: enough to
	// arm the conversation, not to end it.
	JustAccepted bool
	// Announced says that an accept event has led to this look, also if it was too old to be an observation.
	Announced bool
	// Tasks are all tasks of the conversation, whatever their status.
	Tasks []Task
	// Conversation itself.
	Conversation *Conversation
	// Messages of the conversation.
	Messages *Messages
	// Channels of the tasks' interactions by reference; a reference that is absent was not looked at.
	Channels map[ChannelRef]ChannelStatus
	// Webhooks are the URLs of the conversation's scoped webhooks.
	Webhooks *Webhooks
	// Participants of the conversation.
	Participants *Participants
}

// TaskStatus is the AssignmentStatus of a task
// (https://www.twilio.com/docs/taskrouter/lifecycle-task-state).
type TaskStatus string

// The statuses of a task.
const (
	TaskPending   TaskStatus = "pending"
	TaskReserved  TaskStatus = "reserved"
	TaskAssigned  TaskStatus = "assigned"
	TaskWrapping  TaskStatus = "wrapping"
	TaskCompleted TaskStatus = "completed"
	TaskCanceled  TaskStatus = "canceled"
)

// Task is one task of the conversation. Transfers and invitations make further tasks with the same conversation.
type Task struct {
	SID        string
	Status     TaskStatus
	Attributes TaskAttributes
	// Queue and QueueSID are the task queue it is in.
	Queue, QueueSID string
	// Priority is the task's own priority in TaskRouter.
	Priority int
	// ETag is the version to claim against; empty when the task was only seen in a list, which carries none.
	ETag string
	// Created is when the task was made.
	Created time.Time
	// Accepted is the task's accepted reservation. It is nil when reservations were not looked at or none is accepted.
	Accepted *Reservation
	// ReservationsSeen says that the reservations were looked at.
	ReservationsSeen bool
}

// Reservation is an accepted reservation.
type Reservation struct {
	SID string
	// At is when the agent accepted.
	At time.Time
}

// ConversationState is the state of a conversation
// (https://www.twilio.com/docs/conversations-classic/states-timers).
type ConversationState string

// The states of a conversation that matter here.
const (
	ConversationActive   ConversationState = "active"
	ConversationInactive ConversationState = "inactive"
	ConversationClosed   ConversationState = "closed"
)

// Conversation is the state and timer of the conversation.
type Conversation struct {
	State ConversationState
	// DateInactive is when Twilio's timer will make the conversation inactive; nil when no timer runs.
	DateInactive *time.Time
	// Attributes is the JSON text that other programs keep on the conversation.
	Attributes string
}

// Messages are the newest messages of a conversation, newest first.
type Messages struct {
	Newest []Message
	// More says that older messages were not read.
	More bool
}

// Message is one message, without its text.
type Message struct {
	SID    string
	Index  int
	Author string
	// ParticipantSID is the participant of the conversation who wrote it; empty when a program did, over REST.
	ParticipantSID string
	At             time.Time
	// Marker is set on the operator's own messages.
	Marker *Marker
}

// Participants are those who take part in a conversation now, by SID. Who has left is not among them.
type Participants struct {
	BySID map[string]Participant
}

// Participant takes part in a conversation
// (https://www.twilio.com/docs/conversations-classic/api/conversation-participant-resource).
type Participant struct {
	// Identity in the chat service; empty for who takes part over a messaging channel.
	Identity string
	// Address on a messaging channel that the participant is bound to; empty for who uses a chat client.
	Address string
	// Attributes is the participant's attributes as JSON text.
	Attributes string
	// Joined is when.
	Joined time.Time
}

// Webhooks are the URLs of a conversation's scoped webhooks.
type Webhooks struct {
	URLs []string
}

// ChannelRef names the Flex interaction channel of a task.
type ChannelRef struct {
	InteractionSID string `json:"interaction"`
	ChannelSID     string `json:"channel"`
}

// ChannelStatus is the status of an interaction channel
// (https://www.twilio.com/docs/flex/developer/conversations/interactions-api/channels-subresource).
type ChannelStatus string

const (
	// ChannelActive is a channel in use.
	ChannelActive ChannelStatus = "active"
	// ChannelClosed is a channel that has ended.
	ChannelClosed ChannelStatus = "closed"
	// ChannelGone stands for a channel that Twilio does not know (any more).
	ChannelGone ChannelStatus = "gone"
)

// Need is a set of parts of a snapshot.
type Need uint16

// The parts of a snapshot that can be asked for.
const (
	// NeedReservations asks for the accepted reservation of every assigned task.
	NeedReservations Need = 1 << iota
	// NeedConversation asks for the conversation.
	NeedConversation
	// NeedMessages asks for the newest messages.
	NeedMessages
	// NeedAllMessages asks for as many messages as can be read, because no person wrote the newest.
	NeedAllMessages
	// NeedChannels asks for the interaction channels of the tasks.
	NeedChannels
	// NeedWebhooks asks for the conversation's scoped webhooks.
	NeedWebhooks
	// NeedTask asks for the task named by the decision, one by one, with its ETag.
	NeedTask
	// NeedParticipants asks for the participants of the conversation, to tell customers and agents apart.
	NeedParticipants
)

// Has reports whether the set contains part.
func (n Need) Has(part Need) bool { return n&part != 0 }
