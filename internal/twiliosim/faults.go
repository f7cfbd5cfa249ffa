package twiliosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Where a connection is dropped, in Fault.Drop.
const (
	// DropBefore closes the connection before the request has any effect.
	DropBefore = "before"
	// DropAfter closes it when the request was carried out: the write happened and its answer is lost.
	DropAfter = "after"
)

// Fault is something that goes wrong with REST requests. Of the faults that match a request the oldest is applied.
type Fault struct {
	// Method matches the HTTP method; empty matches every one.
	Method string `json:"method,omitempty"`
	// Path is a regular expression that the URL's path matches anywhere; empty matches every one.
	Path string `json:"path,omitempty"`
	// Match, when set, has the last word on whether the request is met.
	Match func(r *http.Request, form url.Values) bool `json:"-"`
	// Skip lets that many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how many requests are met; 0 = every one until the fault is removed.
	Times int `json:"times,omitempty"`

	// Status answers with this HTTP status instead of carrying the request out; Code and Message fill Twilio's error
	// body (a code that fits the status when 0).
	Status  int    `json:"status,omitempty"`
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Header is added to the answer: Retry-After, for example.
	Header http.Header `json:"header,omitempty"`
	// Body is sent instead of Twilio's error body, as ContentType (text/html when empty): a proxy's page. With no
	// Status the request is carried out and its answer replaced.
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	// After carries the request out and then answers with Status.
	After bool `json:"after,omitempty"`
	// Drop closes the connection without an answer: DropBefore or DropAfter.
	Drop string `json:"drop,omitempty"`
	// Delay holds the request up before anything else, by the simulator's clock.
	Delay time.Duration `json:"delay,omitempty"`
}

type fault struct {
	Fault
	path *regexp.Regexp
	met  int
}

// Fail injects a fault. It panics when Path is no regular expression or Drop no known value: both are mistakes in a
// test. The fault stays until it has met Times requests or remove is called.
func (s *Simulator) Fail(f Fault) (remove func()) {
	remove, err := s.fail(f)
	if err != nil {
		panic(err)
	}
	return remove
}

func (s *Simulator) fail(f Fault) (remove func(), err error) {
	path, err := regexp.Compile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("inject a fault: path: %w", err)
	}
	if f.Drop != "" && f.Drop != DropBefore && f.Drop != DropAfter {
		return nil, fmt.Errorf("inject a fault: drop is %q: say %q or %q", f.Drop, DropBefore, DropAfter)
	}
	injected := &fault{Fault: f, path: path}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, injected)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(o *fault) bool { return o == injected })
	}, nil
}

// ClearFaults removes every fault.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault is the fault that meets the request, or nil.
func (s *Simulator) takeFault(r *http.Request, form url.Values) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Method != "" && f.Method != r.Method || !f.path.MatchString(r.URL.Path) ||
			f.Match != nil && !f.Match(r, form) {
			continue
		}
		f.met++
		if f.met <= f.Skip {
			continue
		}
		if f.Times > 0 && f.met >= f.Skip+f.Times {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f
	}
	return nil
}

// delay waits by the simulator's clock. It reports false when the client went away first or the simulator was closed.
func (s *Simulator) delay(r *http.Request, d time.Duration) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}

// replaces tells whether the request is not carried out at all.
func (f *fault) replaces() bool {
	return f.Drop == DropBefore || f.Drop == "" && f.Status != 0 && !f.After
}

// apply puts the fault's answer in the place of the real one.
func (f *fault) apply(answer *reply, refusal *apiError) (*reply, *apiError) {
	if f.Status == 0 {
		return answer, refusal
	}
	code := f.Code
	if code == 0 {
		code = codeFor(f.Status)
	}
	message := f.Message
	if message == "" {
		message = http.StatusText(f.Status)
	}
	return nil, refuse(f.Status, code, "%s", message)
}

func codeFor(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return codeAuthenticate
	case http.StatusNotFound:
		return codeNotFound
	case http.StatusPreconditionFailed:
		return codePreconditionFailed
	case http.StatusTooManyRequests:
		return codeTooManyRequests
	}
	if status >= http.StatusInternalServerError {
		return codeInternal
	}
	return codeInvalidParameter
}

func (f *fault) answerHeader(h http.Header) {
	for name, values := range f.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
}

func (f *fault) writeRaw(w http.ResponseWriter) {
	contentType, status := f.ContentType, f.Status
	if contentType == "" {
		contentType = "text/html"
	}
	if status == 0 {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// The only error left is a client that went away: there is nobody to tell.
	_, _ = w.Write([]byte(f.Body))
}

// String names the fault in the journal.
func (f *fault) String() string {
	described, err := json.Marshal(f.Fault)
	if err != nil {
		return err.Error()
	}
	return string(described)
}
