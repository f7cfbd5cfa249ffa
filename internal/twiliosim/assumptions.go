package twiliosim

import "time"

// Dialect says how the simulator reads what Twilio's documentation leaves open. Every such choice is here and nowhere
// else. The zero value is the reading that the documentation suggests most, or the one that public code relies on; each
// field turns one choice around, whatever the others say, so that a client can be tried under every combination.
type Dialect struct {
	// RESTMessageKeepsTimer: a message created by REST does not restart the inactive timer; only customers, agents and
	// whoever else writes from a chat client do. Otherwise every message does. Twilio's own article
	// (https://www.twilio.com/en-us/blog/build-inactivity-timeout-flex-conversations) names messages of the customer and
	// the agent.
	RESTMessageKeepsTimer bool
	// RESTMessageKeepsInactive: a message created by REST leaves an inactive conversation inactive, and its closed timer
	// running. Otherwise it makes it active, as the general rule "when a new text or media message arrives" says
	// (https://www.twilio.com/docs/conversations-classic/states-timers).
	RESTMessageKeepsInactive bool
	// ResentTimerKeepsRunning: Timers.Inactive, sent while that timer runs, does not start it anew. The same value
	// changes nothing; another one counts from when the running timer was started: by the last message that did so or,
	// when none came since, by being set first. One that is over by that count fires at once. PT0S stops the timer all the
	// same, and a timer that does not run starts when it is set. Otherwise every Timers.Inactive starts it anew.
	ResentTimerKeepsRunning bool

	// ClosedChannelKeepsConversation: closing an interaction channel leaves its conversation as it is. Otherwise it
	// closes it (https://www.twilio.com/docs/api/errors/80906: "Closing the channel also closes the underlying media
	// channel").
	ClosedChannelKeepsConversation bool
	// ClosedConversationEndsChannel: a conversation that gets closed, by REST or by its timer, takes its interaction
	// channel with it: the channel is closed, its tasks are completed, those that nobody accepted canceled. Otherwise Flex
	// takes no notice.
	ClosedConversationEndsChannel bool

	// EmptyFilterMeansNoEvents: a workspace with a callback URL and no filter gets no event. Otherwise it gets every one.
	EmptyFilterMeansNoEvents bool
	// EventsAreNotRetried: TaskRouter sends an event once, whatever the connection overrides of the URL ask for.
	// Otherwise it does as they say (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
	EventsAreNotRetried bool
	// Deliveries says how long after its event each callback is sent: TaskRouter events and webhooks alike. n counts the
	// callbacks from 1 in the order in which their events happened, event is the callback's EventType. No delay means
	// that the callback is lost, several that it is repeated, as the same callback with the same SID and idempotency
	// token. Delays are by the simulator's clock; 0 and less is at once. Retries come on top. Twilio documents neither
	// order nor exactly-once, so the order is the one that the delays make, whatever the callbacks are about; those that
	// are due at one moment go in the order of their events. One follows upon the answer to the other, unless that takes
	// longer than 200 ms, so that a run with the same function goes the same way every time; one that always returns {0}
	// changes nothing but that. It is called with the state locked: it must not call the simulator.
	//
	// Without it every callback is sent once and at once. Those about one task or one conversation are first tried one
	// after the other, in the order of their events; the others run side by side.
	Deliveries func(n int, event string) []time.Duration

	// StaleIfMatchIsIgnored: an If-Match that names another version than the present one is not looked at. Otherwise the
	// request is refused with 412 and code 20412.
	StaleIfMatchIsIgnored bool
	// TaskListsHaveNullAttributes: in lists the attributes of tasks are null, as Twilio's OpenAPI document says
	// (https://github.com/twilio/twilio-oai, taskrouter v1). Otherwise lists show them: public code reads them there.
	TaskListsHaveNullAttributes bool
	// TaskIndexLag: EvaluateTaskAttributes finds a task by the attributes that it had this long ago, and not at all
	// while it is younger. Its other properties, and its end, are seen at once. 0: there is no lag.
	TaskIndexLag time.Duration
	// AssignedTaskCountsFromCreation: the 24 hours after which an assigned task is deleted by the system are counted
	// from its creation. Otherwise from when it was accepted (https://www.twilio.com/docs/taskrouter/limits gives the
	// hours, not their start).
	AssignedTaskCountsFromCreation bool

	// OutsideWindowIsRefused: a message that is no template, sent outside the reply window of WhatsApp or Messenger, is
	// refused at once with 63016. Otherwise it is accepted with 201 and fails to be delivered
	// (https://www.twilio.com/docs/api/errors/63016 names the code, not the moment).
	OutsideWindowIsRefused bool
	// UnusableVariablesAreAccepted: Conversations does not look into the values of ContentVariables. Otherwise it
	// refuses at once, with its own code for variables, those that Programmable Messaging refuses: empty values, line
	// breaks, tabs, more than four spaces in a row (https://www.twilio.com/docs/api/errors/21656).
	UnusableVariablesAreAccepted bool
}

const (
	// replyWindow is how long after the customer's last message it closes; at that very moment it is closed.
	replyWindow = 24 * time.Hour
	// assignedTaskLifetime is how long a task stays assigned before the system deletes it.
	assignedTaskLifetime = 24 * time.Hour
)
