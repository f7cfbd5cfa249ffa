package forward

import "time"

// Every bound of the forwarder, with its reason.
const (
	// maxEvents and maxBytes bound what waits to be passed on. An event is about 3 KiB: 8,192 of them are a busy contact
	// centre's two minutes, after which an event is given up anyway. The bytes hold for events as large as the receiver
	// takes any. One target gets half of each, so that another that fails does not shut it out.
	maxEvents       = 8192
	maxBytes        = 32 << 20
	maxTargetEvents = maxEvents / 2
	maxTargetBytes  = maxBytes / 2

	// eventOverhead is what an event takes beside its body: headers, names and the queue's own pointers.
	eventOverhead = 1 << 10

	// maxRequests is how many requests a target is sent at a time: what one small web server takes without noticing. At
	// 100 ms an answer that is 80 events a second.
	maxRequests = 8

	// attemptTimeout is how long a target may take to answer: as long as TaskRouter itself waits
	// (https://www.twilio.com/docs/taskrouter/api/event/reference).
	attemptTimeout = 15 * time.Second

	// dialTimeout is what connecting may take of it, and tlsTimeout the handshake. Twilio's own default is 5 seconds
	// (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
	dialTimeout = 5 * time.Second
	tlsTimeout  = 5 * time.Second

	// patience is how long after its arrival an event is tried: long enough for a restart of the other party, and many
	// times Twilio's own 15 seconds. Later it would tell of a task as it no longer is.
	patience = 2 * time.Minute

	// firstBackOff and lastBackOff are the pauses between attempts, doubled from one to the next: soon after a hiccup, and
	// never so seldom that a party which is back has to wait for its events.
	firstBackOff = 500 * time.Millisecond
	lastBackOff  = 15 * time.Second

	// maxAnswer is how much is read of an answer, which means nothing: enough to use the connection again after the pages
	// that web servers send with an error.
	maxAnswer = 4 << 10

	// repeatsRemembered and repeatsFor are how many events are remembered, at least for how long, so as to notice one that
	// Twilio sends again. It tries for some 15 seconds (docs/callbacks.md). Twice as many are kept at most, at some 100
	// bytes each.
	repeatsRemembered = 8192
	repeatsFor        = 5 * time.Minute

	// maxSIDLength is longer than any SID of Twilio's. What is longer is not remembered.
	maxSIDLength = 64

	// maxHops is how many operators an event may have come through: more than anybody has stacked for a reason.
	maxHops = 4

	// drainTimeout is how long what waits may still take when the operator stops. The receiver drains for 21 seconds
	// before, and the manager ends everything after 50.
	drainTimeout = 15 * time.Second

	// lineInterval and warningInterval are how often a workspace's trouble is told in the log, and as an event.
	lineInterval    = time.Minute
	warningInterval = 10 * time.Minute

	// maxTroubles is how many workspaces' troubles are kept apart. There are as many as workspaces that forward.
	maxTroubles = 1024

	// idleConnectionTimeout is how long a connection is kept that nothing is sent on.
	idleConnectionTimeout = 90 * time.Second
)
