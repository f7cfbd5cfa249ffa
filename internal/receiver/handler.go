package receiver

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/time/rate"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
)

// handler answers callbacks.
type handler struct {
	// base is the public URL up to the path of the endpoint; prefix is the path in it.
	base, prefix string
	policies     client.Reader
	secrets      Secrets
	queue        Enqueuer
	forwarder    Forwarder
	records      *records
	metrics      *metrics.Metrics
	slots        chan struct{}
	// lines is how many lines about refused requests are still to be written: anybody can cause them.
	lines *rate.Limiter
}

func newHandler(options Options) *handler {
	return &handler{
		base:      options.PublicURL.String(),
		prefix:    options.PublicURL.EscapedPath(),
		policies:  options.Policies,
		secrets:   options.Secrets,
		queue:     options.Queue,
		forwarder: options.Forwarder,
		records:   newRecords(),
		metrics:   options.Metrics,
		slots:     make(chan struct{}, maxRequests),
		lines:     rate.NewLimiter(refusalLines, refusalLinesBurst),
	}
}

// endpoint is one of the two kinds of callback.
type endpoint struct {
	name   string // the label in metrics and logs
	path   string // what precedes the workspace SID
	decode func(url.Values) decoded
	// namesWorkspace says that the payload has the workspace in it as well.
	namesWorkspace bool
	// forwarded says that somebody else may have got these events before.
	forwarded bool
}

var endpoints = []endpoint{
	{metrics.EndpointTaskRouter, callback.TaskRouterPath, decodeTaskRouter, true, true},
	{metrics.EndpointConversations, callback.ConversationsPath, decodeConversations, false, false},
}

// ServeHTTP answers one request and counts it. If it is refused it is logged, unless too many are.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, workspaceSID, found := h.route(r)
	var given answer
	if found {
		given = h.handle(w, r, to, workspaceSID)
	} else {
		to.name = metrics.EndpointUnknown
		given = refuse(metrics.OutcomeNotFound, "no such path")
	}
	given.write(w)
	h.metrics.Callback(to.name, given.outcome)
	if given.status() != http.StatusNoContent && h.lines.Allow() {
		log.FromContext(r.Context()).Info("Refusing a callback", "endpoint", to.name, "outcome", given.outcome, "cause", given.cause)
	}
}

// handle is the order of all checks. Unknown workspaces and paths get the same answer, whatever else is wrong with the
// request, and nothing about a workspace is told before the signature is verified.
func (h *handler) handle(w http.ResponseWriter, r *http.Request, to endpoint, workspaceSID string) answer {
	if r.Method != http.MethodPost {
		return refuse(metrics.OutcomeMethodNotAllowed, "the method is not POST")
	}
	if !h.secrets.Loaded() {
		return refuse(metrics.OutcomeUnavailable, "the Secrets of the policies have not been read yet")
	}
	policies, err := h.lookup(r.Context(), workspaceSID)
	if err != nil {
		return refuse(metrics.OutcomeUnavailable, err.Error())
	}
	if len(policies) == 0 {
		return refuse(metrics.OutcomeNotFound, "no policy is for this workspace")
	}

	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return refuse(metrics.OutcomeUnavailable, "too many callbacks at a time")
	}
	body, refusal := limit(w, r)
	if refusal != nil {
		return *refusal
	}
	form, formError := decodeForm(body)
	if errors.Is(formError, errTooManyParameters) {
		return refuse(metrics.OutcomeTooLarge, formError.Error())
	}
	by, refusal := h.authenticate(r, to, workspaceSID, policies, form)
	if refusal != nil {
		return *refusal
	}
	if formError != nil {
		return refuse(metrics.OutcomeMalformed, formError.Error())
	}
	if to.forwarded {
		h.forward(r.Header, by, workspaceSID, policies, body, form)
	}
	if !acting(workspaceSID, policies) {
		return acknowledge(metrics.OutcomeIgnored)
	}

	said := to.decode(form)
	if said.conversationSID == "" {
		return said.answer
	}
	if !h.queue.Enqueue(workspaceSID, said.conversationSID, said.accepted) {
		return refuse(metrics.OutcomeUnavailable, "the work queue takes nothing now")
	}
	return acknowledge(metrics.OutcomeEnqueued)
}

// route returns the endpoint and the workspace SID that the path names. The path must be exactly the one that Twilio was
// given: cleaning it, as http.ServeMux does, would accept a path that is not the one that was signed.
func (h *handler) route(r *http.Request) (endpoint, string, bool) {
	path, found := strings.CutPrefix(r.URL.EscapedPath(), h.prefix)
	if !found {
		return endpoint{}, "", false
	}
	for _, to := range endpoints {
		if sid, found := strings.CutPrefix(path, to.path); found && isSID("WS", sid) {
			return to, sid, true
		}
	}
	return endpoint{}, "", false
}

// lookup returns the policies of a workspace, which must not be changed.
func (h *handler) lookup(ctx context.Context, workspaceSID string) ([]v1alpha1.InactivityPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return index.PoliciesForWorkspace(ctx, h.policies, workspaceSID, client.UnsafeDisableDeepCopy)
}

// limit reads the body of a request that announces a form of acceptable size.
func limit(w http.ResponseWriter, r *http.Request) ([]byte, *answer) {
	if !announcesForm(r.Header) {
		return nil, refusal(metrics.OutcomeUnsupportedMediaType, "the body is not announced as a plain form in UTF-8")
	}
	if r.ContentLength > maxBodyBytes {
		return nil, refusal(metrics.OutcomeTooLarge, "the body is announced with too many bytes")
	}
	var body bytes.Buffer
	// ReadFrom wants MinRead bytes of room to see the end in. A length that is not announced is -1.
	body.Grow(int(r.ContentLength) + 1 + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refusal(metrics.OutcomeTooLarge, "the body has too many bytes")
	case err != nil:
		return nil, refusal(metrics.OutcomeIncomplete, "the body did not arrive")
	}
	return body.Bytes(), nil
}

// announcesForm reports whether the header is that of a plain form. Nothing is compressed: a small body could unfold
// into a large one.
func announcesForm(header http.Header) bool {
	if len(header.Values("Content-Type")) != 1 || header.Get("Content-Encoding") != "" {
		return false
	}
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return false
	}
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
