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

	// assignedTaskLifetime: an assigned task is deleted by the system this long after it was accepted
	// (https://www.twilio.com/docs/taskrouter/limits gives the 24 hours, not their start).
	assignedTaskLifetime = 24 * time.Hour
)
