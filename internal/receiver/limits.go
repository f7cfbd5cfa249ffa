package receiver

import "time"

// Every bound of the receiver, with its reason. What exceeds one is refused before it is authenticated.
const (
	// maxBodyBytes is the largest body. A reservation event carries attributes of a task and of a worker, of 4,096
	// characters each (https://www.twilio.com/docs/taskrouter/limits), which escaping may make nine times as long in
	// bytes, and some forty short fields.
	maxBodyBytes = 64 << 10

	// maxParameters is the largest number of parameters. Twilio's events have about forty; it adds new ones without
	// notice.
	maxParameters = 256

	// maxHeaderBytes is the largest header. Twilio's is below 2 KiB, and each proxy on the way adds some.
	maxHeaderBytes = 32 << 10

	// maxRequests is how many bodies are read and handled at a time: at 64 KiB each they fill 32 MiB at most.
	maxRequests = 512

	// maxConnections is how many connections are open at a time; more wait to be accepted. Each costs its header and some
	// 20 KiB of buffers and stacks, so that they fill 64 MiB at most. It is more than maxRequests, so that the sender of a
	// callback too many is told so.
	maxConnections = 1024

	// maxTokens is how many tokens a callback is tried with. A workspace belongs to one account, which has two tokens at
	// a time; more come from Secrets that were not all rotated yet.
	maxTokens = 16

	// refusalLines and refusalLinesBurst are how many lines about refused requests are written, a second and at once:
	// enough to see what is wrong with a set-up, too few to fill a disk. The metrics count every request.
	refusalLines      = 1
	refusalLinesBurst = 60

	// lookupTimeout bounds the look into the cache, which waits while the cache has not synced.
	lookupTimeout = 2 * time.Second

	// headerTimeout, readTimeout and writeTimeout bound a request from its first byte to the end of its header, to the
	// end of its body, and to the end of the answer. Conversations gives up after 5 seconds and TaskRouter after 15, so
	// what takes longer is answered to nobody.
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 15 * time.Second

	// idleTimeout is longer than the 60 seconds for which common proxies keep an idle connection: if the receiver closed
	// it first, a callback could be sent into the closing connection and be lost.
	idleTimeout = 2 * time.Minute

	// DefaultDrainDelay is how long the receiver goes on serving after it has said that it is not ready any more: as
	// long as load balancers may take to learn of it.
	DefaultDrainDelay = 5 * time.Second

	// shutdownTimeout is how long requests under way may take after the drain delay: longer than one can take.
	shutdownTimeout = 16 * time.Second

	// maxRecords is how many records of previous callbacks are kept decoded: one for each workspace is needed. One that is
	// longer than maxRecordLength is decoded each time: the operator writes none like that.
	maxRecords      = 1024
	maxRecordLength = 8 << 10

	// retryAfter is when the sender of a callback that came too early should try again, in seconds.
	retryAfter = "5"
)
