// Package metrics holds the operator's own Prometheus series, beside those of controller-runtime.
//
// No label ever holds the name of a conversation, workspace, account or Kubernetes object: the number of series is fixed
// by the code, not by what happens to it.
package metrics

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace begins the name of every series.
const namespace = "inactivity_operator"

// Values of the label endpoint of the callbacks received.
const (
	// EndpointTaskRouter takes the events of workspaces.
	EndpointTaskRouter = "taskrouter"
	// EndpointConversations takes the events of conversations.
	EndpointConversations = "conversations"
	// EndpointUnknown stands for every path that is no endpoint.
	EndpointUnknown = "unknown"
)

// Values of the label outcome of the callbacks received.
const (
	// OutcomeEnqueued: the conversation was put into the work queue.
	OutcomeEnqueued = "enqueued"
	// OutcomeIgnored: authentic, and of a kind that asks for nothing.
	OutcomeIgnored = "ignored"
	// OutcomeUnusable: authentic and of the right kind, but its task attributes cannot be read.
	OutcomeUnusable = "unusable"
	// OutcomeMalformed: authentic, but not a form or without a parameter that Twilio always sends.
	OutcomeMalformed = "malformed"
	// OutcomeForbidden: not authentic, or not from the account of the workspace.
	OutcomeForbidden = "forbidden"
	// OutcomeNotFound: no such path, or no policy for the workspace.
	OutcomeNotFound = "not_found"
	// OutcomeMethodNotAllowed: anything but POST.
	OutcomeMethodNotAllowed = "method_not_allowed"
	// OutcomeUnsupportedMediaType: the body is not announced as a plain form.
	OutcomeUnsupportedMediaType = "unsupported_media_type"
	// OutcomeTooLarge: the body, or the number of its parameters, exceeds the limit.
	OutcomeTooLarge = "too_large"
	// OutcomeIncomplete: the body did not arrive, or not in time.
	OutcomeIncomplete = "incomplete"
	// OutcomeUnavailable: the operator was not ready for it; the sender was asked to try again.
	OutcomeUnavailable = "unavailable"
)

// Values of the label cause of the signature failures.
const (
	// CauseMissing: no signature header.
	CauseMissing = "missing"
	// CauseMismatch: no token of the workspace's policies makes that signature.
	CauseMismatch = "mismatch"
	// CauseAccount: the signature is right, but the payload names another account.
	CauseAccount = "account"
	// CauseWorkspace: the signature is right, but the payload names another workspace than the path.
	CauseWorkspace = "workspace"
)

// Values of the label code of the requests to Twilio, beside 2xx, 3xx, 4xx and 5xx.
const (
	// CodeNone: there was no answer.
	CodeNone = "none"
	// codeOther: a status that HTTP does not define.
	codeOther = "other"
)

// Values of the label outcome of the events forwarded.
const (
	// ForwardDelivered: the other party has taken the event.
	ForwardDelivered = "delivered"
	// ForwardRefused: the other party does not want it, or it may not be sent there. It is not tried again.
	ForwardRefused = "refused"
	// ForwardExpired: it could not be delivered in time.
	ForwardExpired = "expired"
	// ForwardDropped: too many events waited, or the operator stopped.
	ForwardDropped = "dropped"
	// ForwardRepeated: Twilio had sent it before.
	ForwardRepeated = "repeated"
	// ForwardLooped: it had come through this operator, or through too many.
	ForwardLooped = "looped"
)

const (
	// statusTooManyRequests is how Twilio says that an account makes too many requests at a time.
	statusTooManyRequests = 429

	// Labels whose values come from other packages are held to these numbers of values, so that a mistake there cannot
	// fill a Prometheus server. There are fewer than twenty operations and ten acts.
	maxOperations = 64
	maxActs       = 32
	maxOutcomes   = 32
)

// Twilio answers within 100 ms as a rule; a request is given up after ten seconds.
var twilioBuckets = []float64{.025, .05, .1, .2, .4, .8, 1.6, 3.2, 6.4, 10}

// A sweep at rest takes a handful of list requests; one that finds everything unknown takes a few requests for each of
// thousands of conversations.
var sweepBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}

// Metrics are the operator's series. The zero value is of no use; call [New]. All methods are safe for concurrent use.
type Metrics struct {
	callbacks         *prometheus.CounterVec
	signatureFailures *prometheus.CounterVec
	twilioRequests    *prometheus.CounterVec
	twilioDuration    *prometheus.HistogramVec
	twilioThrottled   prometheus.Counter
	acts              *prometheus.CounterVec
	driftRepairs      prometheus.Counter
	sweepDuration     prometheus.Histogram
	sweepFound        prometheus.Counter
	forwarded         *prometheus.CounterVec
	forwardQueued     prometheus.Gauge

	operations, actKinds, actOutcomes *boundedLabel
}

// New makes the series and registers them: in controller-runtime's registry for the program, in one of its own for a
// test. It fails if one of them is registered already.
func New(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		callbacks: counters("callbacks_total",
			"Requests that the receiver answered, by endpoint and outcome.", "endpoint", "outcome"),
		signatureFailures: counters("signature_failures_total",
			"Callbacks refused as not authentic, by cause.", "cause"),
		twilioRequests: counters("twilio_requests_total",
			"Requests to Twilio, by operation and class of the answer's status.", "operation", "code"),
		twilioDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "twilio_request_duration_seconds",
			Help:    "Time until Twilio had answered a request, by operation.",
			Buckets: twilioBuckets,
		}, []string{"operation"}),
		twilioThrottled: counter("twilio_throttled_total",
			"Requests that Twilio refused with 429 because the account makes too many at a time."),
		acts: counters("acts_total",
			"Acts on conversations, by kind of act and outcome.", "act", "outcome"),
		driftRepairs: counter("callback_drift_repairs_total",
			"Times that a workspace's event callback was set again because it was not as configured."),
		sweepDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "sweep_duration_seconds",
			Help:    "Time that a sweep over the tasks of all workspaces took.",
			Buckets: sweepBuckets,
		}),
		sweepFound: counter("sweep_found_conversations_total",
			"Conversations that a sweep put into the queue because the leader had no plan for them, or an overdue one."),
		forwarded: counters("forwarded_events_total",
			"Events for whoever a workspace called before, by outcome.", "outcome"),
		forwardQueued: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "forward_queued_events",
			Help: "Events that wait to be forwarded, those under way included.",
		}),

		operations:  newBoundedLabel(maxOperations),
		actKinds:    newBoundedLabel(maxActs),
		actOutcomes: newBoundedLabel(maxOutcomes),
	}

	// A series that begins with its first event hides that event from rate(); those whose labels are known begin at 0.
	for _, endpoint := range []string{EndpointTaskRouter, EndpointConversations} {
		for _, outcome := range []string{
			OutcomeEnqueued, OutcomeIgnored, OutcomeUnusable, OutcomeMalformed, OutcomeForbidden, OutcomeNotFound,
			OutcomeMethodNotAllowed, OutcomeUnsupportedMediaType, OutcomeTooLarge, OutcomeIncomplete, OutcomeUnavailable,
		} {
			m.callbacks.WithLabelValues(endpoint, outcome)
		}
	}
	m.callbacks.WithLabelValues(EndpointUnknown, OutcomeNotFound)
	for _, cause := range []string{CauseMissing, CauseMismatch, CauseAccount, CauseWorkspace} {
		m.signatureFailures.WithLabelValues(cause)
	}
	for _, outcome := range []string{ForwardDelivered, ForwardRefused, ForwardExpired, ForwardDropped, ForwardRepeated, ForwardLooped} {
		m.forwarded.WithLabelValues(outcome)
	}

	var failures []error
	for _, collector := range m.collectors() {
		failures = append(failures, registerer.Register(collector))
	}
	if err := errors.Join(failures...); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.callbacks, m.signatureFailures, m.twilioRequests, m.twilioDuration, m.twilioThrottled,
		m.acts, m.driftRepairs, m.sweepDuration, m.sweepFound, m.forwarded, m.forwardQueued,
	}
}

// Callback counts a request that the receiver answered. Both arguments are constants of this package.
func (m *Metrics) Callback(endpoint, outcome string) {
	m.callbacks.WithLabelValues(endpoint, outcome).Inc()
}

// SignatureFailure counts a callback that was refused as not authentic. The cause is a constant of this package.
func (m *Metrics) SignatureFailure(cause string) {
	m.signatureFailures.WithLabelValues(cause).Inc()
}

// TwilioRequest counts one attempt of a request to Twilio: the operation's name, the status of the answer or 0 when
// there was none, and how long it took.
func (m *Metrics) TwilioRequest(operation string, status int, elapsed time.Duration) {
	operation = m.operations.value(operation)
	m.twilioRequests.WithLabelValues(operation, statusClass(status)).Inc()
	m.twilioDuration.WithLabelValues(operation).Observe(elapsed.Seconds())
	if status == statusTooManyRequests {
		m.twilioThrottled.Inc()
	}
}

// Act counts an act on a conversation by its kind and what became of it.
func (m *Metrics) Act(kind, outcome string) {
	m.acts.WithLabelValues(m.actKinds.value(kind), m.actOutcomes.value(outcome)).Inc()
}

// CallbackDriftRepaired counts a workspace callback that was set again because somebody had changed it.
func (m *Metrics) CallbackDriftRepaired() { m.driftRepairs.Inc() }

// Sweep records a finished sweep over all workspaces: how long it took, and how many conversations it put into the queue.
// A leader that is new finds them all; later ones are those whose events other replicas have handled or nobody has.
func (m *Metrics) Sweep(elapsed time.Duration, found int) {
	m.sweepDuration.Observe(elapsed.Seconds())
	m.sweepFound.Add(float64(max(found, 0)))
}

// Forwarded counts what became of an event for another party. The outcome is a constant of this package.
func (m *Metrics) Forwarded(outcome string) { m.forwarded.WithLabelValues(outcome).Inc() }

// ForwardQueued sets how many events wait to be forwarded.
func (m *Metrics) ForwardQueued(events int) { m.forwardQueued.Set(float64(events)) }

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func statusClass(status int) string {
	switch {
	case status == 0:
		return CodeNone
	case status >= 200 && status < 300:
		return "2xx"
	case status >= 300 && status < 400:
		return "3xx"
	case status >= 400 && status < 500:
		return "4xx"
	case status >= 500 && status < 600:
		return "5xx"
	default:
		return codeOther
	}
}
