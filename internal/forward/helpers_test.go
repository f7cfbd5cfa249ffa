package forward

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/flexops-dev/inactivity-operator/internal/metrics"
)

const (
	workspace = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	token     = "thetokenthatsigns"
	theirs    = "https://them.example.com/events"
	secret    = "customer-text-and-name"
)

// received is a request as the other party gets it.
type received struct {
	at   time.Time
	url  string
	form url.Values
	body string
	*http.Request
}

// party is the other party. It plays the transport, so that everything happens in the bubble of a test.
type party struct {
	// answers says what to answer, and takes its time; nil: 204 at once. Status 0 is no answer.
	answers func(*received) int

	mu                sync.Mutex
	got               []*received
	underWay, mostWay int
}

func (p *party) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	got := &received{at: time.Now(), url: request.URL.String(), form: form, body: string(body), Request: request}
	p.mu.Lock()
	p.got = append(p.got, got)
	p.underWay++
	p.mostWay = max(p.mostWay, p.underWay)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.underWay--
	}()

	status := http.StatusNoContent
	if p.answers != nil {
		status = p.answers(got)
	}
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("thank you"))}, nil
}

// events are the events that the party got, each attempt, by their task and number.
func (p *party) events() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, got := range p.got {
		all = append(all, got.form.Get("TaskSid")+" "+got.form.Get("Number"))
	}
	return all
}

// most is how many requests were under way at once.
func (p *party) most() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mostWay
}

// waits is a time that a party takes, unless the request is given up before.
func waits(got *received, how time.Duration) {
	timer := time.NewTimer(how)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-got.Context().Done():
	}
}

// fixture is a forwarder with all that it depends on, at work.
type fixture struct {
	*Forwarder
	t        *testing.T
	registry *prometheus.Registry
	drained  chan struct{}
	stop     context.CancelFunc
	ended    chan struct{}

	mu    sync.Mutex
	lines []string
	notes []string
}

// Eventf keeps an event.
func (f *fixture) Eventf(regarding, _ runtime.Object, kind, reason, _, note string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	about, _ := regarding.(*corev1.ObjectReference)
	f.notes = append(f.notes, fmt.Sprintf("%s %s %s/%s: %s", kind, reason, about.Namespace, about.Name, fmt.Sprintf(note, args...)))
}

// start makes a forwarder that works until the test ends.
func start(t *testing.T, transport http.RoundTripper) *fixture {
	t.Helper()
	f := &fixture{t: t, registry: prometheus.NewRegistry(), drained: make(chan struct{}), ended: make(chan struct{})}
	series, err := metrics.New(f.registry)
	if err != nil {
		t.Fatal(err)
	}
	f.Forwarder, err = New(Options{
		Identity: "https://us.example.com", Metrics: series, Recorder: f, Transport: transport, Drained: f.drained,
		Logger: funcr.New(func(_, line string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.lines = append(f.lines, line)
		}, funcr.Options{}),
		Random: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	go func() {
		defer close(f.ended)
		if err := f.Start(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		f.end()
		<-f.ended
	})
	return f
}

// end has the operator stop, once the receiver has drained.
func (f *fixture) end() {
	f.stop()
	select {
	case <-f.drained:
	default:
		close(f.drained)
	}
}

func (f *fixture) logged() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}

func (f *fixture) noted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.notes)
}

// counted are the outcomes that are not zero, in alphabetical order, and what is queued.
func (f *fixture) counted() string {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, series := range family.GetMetric() {
			switch {
			case strings.HasSuffix(family.GetName(), "forwarded_events_total") && series.GetCounter().GetValue() > 0:
				all = append(all, fmt.Sprint(series.GetLabel()[0].GetValue(), " ", series.GetCounter().GetValue()))
			case strings.HasSuffix(family.GetName(), "forward_queued_events") && series.GetGauge().GetValue() > 0:
				all = append(all, fmt.Sprint("queued ", series.GetGauge().GetValue()))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (f *fixture) expect(want string) {
	f.t.Helper()
	synctest.Wait()
	if got := f.counted(); got != want {
		f.t.Errorf("counted %q, want %q", got, want)
	}
}

// event is one of a task, with a number to know it by.
func event(task string, number int, change ...func(*Event)) Event {
	form := url.Values{
		"EventType": {"task.created"}, "Sid": {fmt.Sprintf("EV%s%d", task, number)}, "TaskSid": {task}, "ResourceSid": {"WR1"},
		"Number": {fmt.Sprint(number)}, "TaskAttributes": {`{"name":"` + secret + `"}`},
	}
	e := Event{
		WorkspaceSID: workspace, Policy: corev1.ObjectReference{Namespace: "support", Name: "plain"},
		Target: theirs, Token: token, Form: form, Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func to(target string) func(*Event) { return func(e *Event) { e.Target = target } }

func through(via string) func(*Event) {
	return func(e *Event) { e.Header = e.Header.Clone(); e.Header.Add("Via", via) }
}
