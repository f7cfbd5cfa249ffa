package twilio

import "time"

// Defaults of [Options]. All of them hold per process: two replicas use up to twice as much.
const (
	// DefaultMaxConcurrent bounds the calls in flight per account. Twilio limits accounts by concurrency (error 20429)
	// without publishing the ceiling, and the agents' own Flex clients share it. 50 calls of 100 ms each are 500 a
	// second, which ends a hundred conversations at once within three seconds.
	DefaultMaxConcurrent = 50
	// DefaultRequestsPerSecond is a fuse against hot loops, set just below what DefaultMaxConcurrent allows at 100 ms
	// a call, so that the concurrency limit is what normally governs.
	DefaultRequestsPerSecond = 400
	// DefaultBurst lets the first steps of a hundred conversations that end together leave without waiting.
	DefaultBurst = 200
	// DefaultRequestTimeout bounds one attempt, from dialing to the last byte of the answer. It is the time-out of
	// Twilio's own helper libraries, and leaves room for two more attempts within half a minute.
	DefaultRequestTimeout = 10 * time.Second
	// DefaultUserAgent names the program to Twilio's support when nothing else is configured.
	DefaultUserAgent = "inactivity-operator"
)

const (
	// maxResourceBody bounds the answer that holds one resource. The largest, a task, holds 4,096 characters of
	// attributes; a conversation holds 16 KB of them.
	maxResourceBody = 1 << 20
	// maxListBody bounds one page of a list: 1,000 tasks of 16 KiB each. Typical tasks take 2 KiB.
	maxListBody = 16 << 20
	// maxErrorBody bounds what is read of a refusal; Twilio's own are below 1 KiB.
	maxErrorBody = 16 << 10
	// maxDrain bounds what is read and thrown away behind a bound, to give the connection back. Behind that a new
	// connection is cheaper.
	maxDrain = 64 << 10

	// maxPages bounds a list at 1,000 pages: a million tasks, ten times the largest installation planned for. It is
	// a stop for an endless chain of pages, not a limit anyone should meet.
	maxPages = 1000
	// taskPageSize and the other page sizes are the maxima of the API, so that a sweep of 10,000 tasks takes 10 calls.
	taskPageSize        = 1000
	workspacePageSize   = 1000
	reservationPageSize = 1000
	messagePageSize     = 100
	participantPageSize = 100
	webhookPageSize     = 5
	// conversationTaskPageSize is for the tasks of one conversation, of which there are a handful.
	conversationTaskPageSize = 50

	// maxTaskAttributes is the number of characters a task's attributes may have
	// (https://www.twilio.com/docs/taskrouter/limits).
	maxTaskAttributes = 4096

	// maxAttempts is how often a call is sent at most. A caller that still has no answer then should put its work back
	// in its queue and look again, rather than act on what it saw many seconds ago.
	maxAttempts = 3
	// backoffBase doubles with each attempt up to backoffCap; the wait is drawn from its upper half.
	backoffBase = 200 * time.Millisecond
	backoffCap  = 2 * time.Second
	// maxRetryWait is the longest Retry-After that is waited for here. A longer one is handed to the caller in
	// [Error.RetryAfter]: waiting belongs into a queue that holds no worker, and after which the caller looks again.
	maxRetryWait = 2 * time.Second
	// maxRetryAfter caps what a Retry-After header can ask for.
	maxRetryAfter = time.Hour

	// maxClients bounds the cache of a [Pool]; the least recently used client goes first. Rotated credentials leave
	// their old client behind until then.
	maxClients = 1024
	// maxMessage bounds Twilio's message in an [Error], in bytes.
	maxMessage = 256
	// maxRequestID bounds Twilio's request identifier, in bytes; it has 34.
	maxRequestID = 64

	// idleConnTimeout is below the 60 s after which load balancers commonly drop an idle connection, so that a write
	// is not sent into one that is just being closed, which would leave its outcome unknown.
	idleConnTimeout = 30 * time.Second
	// pingInterval and pingTimeout find a dead HTTP/2 connection, which all calls to a host would otherwise share.
	pingInterval = 15 * time.Second
	pingTimeout  = 10 * time.Second
)
