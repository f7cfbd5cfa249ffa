package twilio

// repetition says when an operation may be sent again by this package.
type repetition int

const (
	// never after an attempt that may have been processed; only after one that certainly was not: a connection that
	// was not made, or 429, which "was never processed and is always safe to retry"
	// (https://www.twilio.com/docs/api/errors/20429).
	never repetition = iota
	// idempotent writes can be sent again also after an attempt whose outcome is unknown.
	idempotent
	// read changes nothing.
	read
)

// operation is one kind of call: its name for errors and metrics, when it may be repeated, and how large its answer may
// be in bytes.
type operation struct {
	name       string
	repetition repetition
	maxBody    int64
}

func (o operation) write() bool { return o.repetition != read }

// The operations. The reason for each write's repetition:
var (
	opGetWorkspace          = operation{"GetWorkspace", read, maxResourceBody}
	opListWorkspaces        = operation{"ListWorkspaces", read, maxListBody}
	opListTaskQueues        = operation{"ListTaskQueues", read, maxListBody}
	opListTasks             = operation{"ListTasks", read, maxListBody}
	opGetTask               = operation{"GetTask", read, maxResourceBody}
	opListReservations      = operation{"ListReservations", read, maxListBody}
	opGetConversation       = operation{"GetConversation", read, maxResourceBody}
	opListMessages          = operation{"ListMessages", read, maxListBody}
	opListParticipants      = operation{"ListParticipants", read, maxListBody}
	opListWebhooks          = operation{"ListWebhooks", read, maxListBody}
	opGetInteractionChannel = operation{"GetInteractionChannel", read, maxResourceBody}

	// Sets absolute values on a resource without versions; the second time changes nothing.
	opUpdateWorkspaceCallback = operation{"UpdateWorkspaceCallback", idempotent, maxResourceBody}
	// Sets a state and restarts a timer; the second time restarts the timer a moment later.
	opUpdateConversation = operation{"UpdateConversation", idempotent, maxResourceBody}

	// Closing is final, and was decided on a look at the conversation that grows older with each attempt: a customer
	// may have written meanwhile. The caller has to look again.
	opCloseConversation       = operation{"UpdateConversation", never, maxResourceBody}
	opUpdateTaskStatus        = operation{"UpdateTaskStatus", never, maxResourceBody}
	opCloseInteractionChannel = operation{"CloseInteractionChannel", never, maxResourceBody}
	// If-Match would refuse our own repetition with 412, which reads as if somebody else had won.
	opUpdateTaskAttributes = operation{"UpdateTaskAttributes", never, maxResourceBody}
	// A repetition would create a second one.
	opCreateMessage = operation{"CreateMessage", never, maxResourceBody}
	opCreateWebhook = operation{"CreateWebhook", never, maxResourceBody}
)
