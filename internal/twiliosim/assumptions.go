package twiliosim

import "time"

// What Twilio's documentation leaves open, and what the simulator does. Every such choice is here and nowhere else.
const (
	// emptyFilterMeansAllEvents: a workspace with a callback URL and no filter gets every event.
	emptyFilterMeansAllEvents = true
	// restMessageRestartsTimer: a message created by REST restarts the inactive timer as a customer's or an agent's does.
	restMessageRestartsTimer = true
	// restMessageReactivates: a message created by REST makes an inactive conversation active, as the general rule
	// "when a new text or media message arrives" says.
	restMessageReactivates = true
	// resentTimerRestarts: sending Timers.Inactive again starts it anew, also with the same value.
	resentTimerRestarts = true
	// staleIfMatchIsRefused: an If-Match that names another version is refused with 412 and code 20412.
	staleIfMatchIsRefused = true
	// listsShowTaskAttributes: task lists carry the attributes. The reference says they are null in lists, public code
	// reads them there.
	listsShowTaskAttributes = true

	// freeFormOutsideWindowIsAccepted: a message that is no template, sent outside the reply window of WhatsApp or
	// Messenger, is accepted with 201 and fails to be delivered later, with 63016 (https://www.twilio.com/docs/api/errors/63016
	// names the code, not the moment).
	freeFormOutsideWindowIsAccepted = true
	// replyWindow: how long after the customer's last message it closes; at that very moment it is closed.
	replyWindow = 24 * time.Hour
	// unusableVariablesAreRefused: what Programmable Messaging refuses in the variables of a template
	// (https://www.twilio.com/docs/api/errors/21656: empty values, line breaks, tabs, more than four spaces in a row),
	// Conversations refuses too, with its own code for variables, at once.
	unusableVariablesAreRefused = true

	// assignedTaskLifetime: an assigned task is deleted by the system this long after it was accepted
	// (https://www.twilio.com/docs/taskrouter/limits gives the 24 hours, not their start).
	assignedTaskLifetime = 24 * time.Hour
)
