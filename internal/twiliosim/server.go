package twiliosim

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
)

// handlerFunc serves a REST request. The state is locked.
type handlerFunc func(s *Simulator, r *request) (*reply, *apiError)

type route struct {
	path    *regexp.Regexp
	methods map[string]handlerFunc
}

// on declares a route. {XX} in the pattern stands for a SID (or, for some resources, a unique name) and becomes a
// variable of the request, in order.
func on(pattern string, methods map[string]handlerFunc) route {
	expr := regexp.MustCompile(`\{[A-Z]{2}\}`).ReplaceAllString(pattern, `([^/]+)`)
	return route{path: regexp.MustCompile("^" + expr + "$"), methods: methods}
}

type verbs = map[string]handlerFunc

// routes are the REST resources that are played. Those of Conversations are reached under /v1 and, for the default
// service, under /v1/Services/{IS} as well.
var routes = func() []route {
	all := []route{
		on("/v1/Workspaces", verbs{"GET": (*Simulator).listWorkspaces}),
		on("/v1/Workspaces/{WS}", verbs{"GET": (*Simulator).getWorkspace, "POST": (*Simulator).updateWorkspace}),
		on("/v1/Workspaces/{WS}/TaskQueues", verbs{"GET": (*Simulator).listTaskQueues}),
		on("/v1/Workspaces/{WS}/Tasks", verbs{"GET": (*Simulator).listTasks, "POST": (*Simulator).createTask}),
		on("/v1/Workspaces/{WS}/Tasks/{WT}", verbs{"GET": (*Simulator).getTask, "POST": (*Simulator).updateTask,
			"DELETE": (*Simulator).deleteTask}),
		on("/v1/Workspaces/{WS}/Tasks/{WT}/Reservations", verbs{"GET": (*Simulator).listReservations}),
		on("/v1/Workspaces/{WS}/Tasks/{WT}/Reservations/{WR}", verbs{"GET": (*Simulator).getReservation,
			"POST": (*Simulator).updateReservation}),

		on("/v1/Interactions/{KD}", verbs{"GET": (*Simulator).getInteraction}),
		on("/v1/Interactions/{KD}/Channels", verbs{"GET": (*Simulator).listChannels}),
		on("/v1/Interactions/{KD}/Channels/{UO}", verbs{"GET": (*Simulator).getChannel,
			"POST": (*Simulator).updateChannel}),
		on("/v1/Interactions/{KD}/Channels/{UO}/Participants", verbs{
			"GET": (*Simulator).listChannelParticipants}),
		on("/v1/Interactions/{KD}/Channels/{UO}/Participants/{UT}", verbs{
			"POST": (*Simulator).updateChannelParticipant}),
		on("/v1/Interactions/{KD}/Channels/{UO}/Invites", verbs{"GET": (*Simulator).listInvites}),

		on("/v1/Configuration", verbs{"GET": (*Simulator).getConfiguration}),
	}
	const c = "/v1/Conversations"
	conversations := []route{
		on(c, verbs{"GET": (*Simulator).listConversations, "POST": (*Simulator).createConversation}),
		on(c+"/{CH}", verbs{"GET": (*Simulator).getConversation, "POST": (*Simulator).updateConversation,
			"DELETE": (*Simulator).deleteConversation}),
		on(c+"/{CH}/Messages", verbs{"GET": (*Simulator).listMessages, "POST": (*Simulator).createMessage}),
		on(c+"/{CH}/Messages/{IM}", verbs{"GET": (*Simulator).getMessage}),
		on(c+"/{CH}/Participants", verbs{"GET": (*Simulator).listParticipants,
			"POST": (*Simulator).createParticipant}),
		on(c+"/{CH}/Participants/{MB}", verbs{"GET": (*Simulator).getParticipant}),
		on(c+"/{CH}/Webhooks", verbs{"GET": (*Simulator).listWebhooks, "POST": (*Simulator).createWebhook}),
		on(c+"/{CH}/Webhooks/{WH}", verbs{"GET": (*Simulator).getWebhook, "POST": (*Simulator).updateWebhook,
			"DELETE": (*Simulator).deleteWebhook}),
	}
	return append(all, conversations...)
}()

var servicePath = regexp.MustCompile(`^(/v1/Services/(IS[0-9a-fA-F]{32}))(/Conversations(?:/.*)?)$`)

// Handler serves the REST API, which wants authentication, and the control API under /simulator/, which does not.
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	s.registerControl(mux)
	mux.HandleFunc("/", s.serveREST)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Clients read Twilio's time from the Date header, so it has to be the simulator's.
		w.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
		mux.ServeHTTP(w, r)
	})
}

// serveREST handles one REST request: decode, inject a fault, act, journal, answer.
func (s *Simulator) serveREST(w http.ResponseWriter, r *http.Request) {
	started := s.clock.Now()
	concurrent := s.requests.Add(1)
	defer s.requests.Add(-1)
	form, formErr := decodeForm(r)
	query, queryErr := url.ParseQuery(r.URL.RawQuery)
	if formErr == nil && queryErr != nil {
		formErr = fmt.Errorf("decode the query: %w", queryErr)
	}

	f := s.takeFault(r, form)
	if f != nil && f.Delay > 0 && !s.delay(r, f.Delay) {
		panic(http.ErrAbortHandler)
	}

	entry := Entry{
		Kind: KindRequest, Method: r.Method, Path: r.URL.Path, Query: query, Form: form,
		Write: r.Method != http.MethodGet && r.Method != http.MethodHead,
	}
	s.lock()
	var answer *reply
	var refusal *apiError
	if f == nil || !f.replaces() {
		answer, refusal = s.act(r, query, form, formErr)
		entry.Effect = entry.Write && refusal == nil
	}
	if f != nil {
		entry.Fault = f.String()
		answer, refusal = f.apply(answer, refusal)
	}
	entry.Status, entry.Code = outcome(answer, refusal)
	if f != nil && f.Drop != "" {
		entry.Status, entry.Code = 0, 0
	}
	s.record(&entry)
	s.answered++
	answered := s.answered
	s.mu.Unlock()

	if f != nil && f.Drop != "" {
		panic(http.ErrAbortHandler) // the server closes the connection without an answer
	}
	h := w.Header()
	h.Set("Twilio-Request-Id", "RQ"+digest(fmt.Sprint(s.accountSID, "request", answered)))
	h.Set("Twilio-Concurrent-Requests", fmt.Sprint(concurrent))
	h.Set("Twilio-Request-Duration", fmt.Sprintf("%.3f", s.clock.Since(started).Seconds()))
	if f != nil {
		f.answerHeader(h)
		if f.Body != "" {
			f.writeRaw(w)
			return
		}
	}
	write(w, answer, refusal)
}

// act authenticates a request, finds its resource and serves it. The caller holds the state.
func (s *Simulator) act(r *http.Request, query, form url.Values, formErr error) (*reply, *apiError) {
	switch {
	case s.closed:
		return nil, refuse(http.StatusServiceUnavailable, codeInternal, "The simulator was stopped")
	case !s.authenticates(r):
		return nil, refuse(http.StatusUnauthorized, codeAuthenticate, messageAuthenticate)
	case formErr != nil:
		return nil, invalid("The request cannot be decoded: %v", formErr)
	}
	req := &request{
		method: r.Method, path: r.URL.Path, base: baseURL(r), prefix: "/v1", query: query, form: form, header: r.Header,
	}
	path := r.URL.Path
	if m := servicePath.FindStringSubmatch(path); m != nil {
		if m[2] != s.account.chatServiceSID {
			return nil, notFound(path)
		}
		req.prefix = m[1]
		path = "/v1" + m[3]
	}
	for _, route := range routes {
		vars := route.path.FindStringSubmatch(path)
		if vars == nil {
			continue
		}
		serve, known := route.methods[r.Method]
		if !known {
			return nil, refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "Method %s is not allowed", r.Method)
		}
		req.vars = vars[1:]
		return serve(s, req)
	}
	return nil, notFound(r.URL.Path)
}

// authenticates checks the Basic credentials against the account's token and API key, in constant time.
func (s *Simulator) authenticates(r *http.Request) bool {
	user, password, given := r.BasicAuth()
	if !given {
		return false
	}
	same := func(a, b string) bool { return b != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	return same(user, s.accountSID) && (same(password, s.authToken) || same(password, s.secondaryToken)) ||
		same(user, s.apiKeySID) && same(password, s.apiKeySecret)
}

// outcome is the status and Twilio code of an answer.
func outcome(answer *reply, refusal *apiError) (status, code int) {
	switch {
	case refusal != nil:
		return refusal.Status, refusal.Code
	case answer != nil:
		return answer.status, 0
	}
	return 0, 0
}

func write(w http.ResponseWriter, answer *reply, refusal *apiError) {
	h := w.Header()
	if refusal != nil {
		if refusal.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", authenticationRealm)
		}
		writeJSON(w, refusal.Status, refusal)
		return
	}
	maps.Copy(h, answer.header)
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	writeJSON(w, answer.status, answer.body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The only error left is a client that went away: there is nobody to tell.
	_ = encoder.Encode(body)
}
