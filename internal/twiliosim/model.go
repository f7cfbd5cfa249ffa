package twiliosim

import (
	"encoding/json"
	"slices"
	"time"
)

// account is what exists once per account.
type account struct {
	chatServiceSID      string // the Flex Chat Service, default of Conversations
	messagingServiceSID string
	flexInstanceSID     string
	agentRoleSID        string
	proxyAddress        string // the contact centre's own number
	created             time.Time
	flexWorkspace       *workspace
	// defaults of new conversations; zero = none
	inactiveTimer, closedTimer time.Duration
}

// named is a part of a workspace that tasks and events refer to.
type named struct {
	resource
	name string
}

type workspace struct {
	resource
	friendlyName         string
	eventCallbackURL     string
	eventsFilter         string
	multiTask            bool
	prioritizeQueueOrder string
	created, updated     time.Time

	offline, available named   // activities
	queue              named   // where a task goes that names no other
	queues             []named // that one and those added later
	workflow           named
	channels           map[string]named // task channels by unique name
	workers            []*worker
	nextWorker         int // round robin

	tasks table[*task]
}

type worker struct {
	resource
	name       string // the worker's friendly name and the agent's chat identity
	attributes string
	version    int
}

// Statuses of tasks and reservations, as Twilio writes them.
const (
	statusPending   = "pending"
	statusReserved  = "reserved"
	statusAssigned  = "assigned"
	statusWrapping  = "wrapping"
	statusCompleted = "completed"
	statusCanceled  = "canceled"
	statusAccepted  = "accepted"
	statusRejected  = "rejected"
	statusTimeout   = "timeout"
	statusRescinded = "rescinded"
)

type task struct {
	resource
	workspace  *workspace
	status     string
	attributes string
	decoded    map[string]any // attributes
	indexed    []revision     // for EvaluateTaskAttributes: what it may still see, oldest first
	version    int            // the ETag
	priority   int
	reason     string
	channel    named
	queue      named
	workflow   named
	timeout    int // seconds until a task nobody accepted is cancelled
	virtual    time.Time
	created    time.Time
	updated    time.Time

	routingTarget  string
	ignoreCapacity bool

	conversation *conversation       // nil for voice and other tasks
	interaction  *interactionChannel // nil when the task was not made by Interactions
	transfer     bool                // made by Transfer: accepting it ends the earlier tasks

	reservations table[*reservation]
	expiry       *deadline
}

func (t *task) live() bool {
	return t.status != statusCompleted && t.status != statusCanceled
}

// revision is a task's attributes from a moment on.
type revision struct {
	since      time.Time
	attributes map[string]any
}

// setTaskAttributes replaces a task's attributes. The caller holds the state.
func (s *Simulator) setTaskAttributes(t *task, text string) error {
	decoded := map[string]any{}
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		return err
	}
	t.attributes, t.decoded = text, decoded
	// Of the revisions that the index has reached, it will only be asked for the newest.
	seen := s.now.Add(-s.indexLag())
	for len(t.indexed) > 1 && !t.indexed[1].since.After(seen) {
		t.indexed = t.indexed[1:]
	}
	t.indexed = append(t.indexed, revision{since: s.now, attributes: decoded})
	return nil
}

// attributesAt are the attributes that a task had at a moment; false when there was no such task yet.
func (t *task) attributesAt(moment time.Time) (attributes map[string]any, found bool) {
	for _, r := range slices.Backward(t.indexed) {
		if !r.since.After(moment) {
			return r.attributes, true
		}
	}
	return nil, false
}

// indexLag is how far EvaluateTaskAttributes is behind.
func (s *Simulator) indexLag() time.Duration { return max(s.opts.Dialect.TaskIndexLag, 0) }

type reservation struct {
	resource
	task             *task
	worker           *worker
	status           string
	version          int
	created, updated time.Time
}

// States of conversations.
const (
	stateActive       = "active"
	stateInactive     = "inactive"
	stateClosed       = "closed"
	stateInitializing = "initializing"
)

type conversation struct {
	resource
	friendlyName, uniqueName *string
	messagingServiceSID      string
	attributes               string
	state                    string
	created, updated         time.Time

	inactiveAfter, closedAfter time.Duration // zero = no timer
	dateInactive, dateClosed   time.Time     // zero = not running
	timer                      *deadline
	timerStarted               time.Time // of the timer of its state

	nextIndex    int
	messages     table[*message]
	participants table[*participant]
	webhooks     table[*webhook]

	// What Flex knows of it.
	channelType string              // task attribute channelType: sms, whatsapp, web …
	channel     *interactionChannel // nil without Interactions
	workspace   *workspace
	customer    string  // the author of the customer's messages
	anonymous   bool    // its tasks do not say who the customer is
	outbound    bool    // an agent began it
	queue       named   // of its newest task
	priority    int     // of its newest task
	tasks       []*task // those that still exist, oldest first
	deleted     bool
}

type message struct {
	resource
	index          int
	author         string
	body           *string
	attributes     string
	participantSID string
	// A content template and its variables as JSON text, "" when there are none.
	contentSID, contentVariables string
	media                        []media
	recipients                   int // who take part by SMS, WhatsApp and the like, and did not write it
	errorCode                    int // why it does not reach them, 0 when it does
	created                      time.Time
	updated                      time.Time
}

type media struct {
	SID         string `json:"sid"`
	Size        int    `json:"size"`
	ContentType string `json:"content_type"`
	Filename    string `json:"filename"`
}

type participant struct {
	resource
	identity                    string // "" = none
	bindingType, address, proxy string // address "" = no messaging binding
	projectedAddress            string
	attributes                  string
	roleSID                     string
	created, updated            time.Time
}

type webhook struct {
	resource
	target           string
	url, method      string
	filters          []string
	triggers         []string
	flowSID          string
	created, updated time.Time
}

type interaction struct {
	resource
	workspace *workspace
	channels  table[*interactionChannel]
	first     *task // the one it was created with
}

// Statuses of interaction channels.
const (
	channelActive   = "active"
	channelFailed   = "failed"
	channelClosed   = "closed"
	channelInactive = "inactive"
	channelPause    = "pause"
	channelTransfer = "transfer"
)

type interactionChannel struct {
	resource
	interaction  *interaction
	kind         string
	status       string
	conversation *conversation
	participants table[*interactionParticipant]
	invites      table[*invite]
}

type interactionParticipant struct {
	resource
	kind        string       // customer, agent
	reservation *reservation // of an agent
}

type invite struct {
	resource
	task *task
}
