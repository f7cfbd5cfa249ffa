package metrics

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func newMetrics(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m, err := New(registry)
	if err != nil {
		t.Fatal(err)
	}
	return m, registry
}

// family is a metric as a scrape shows it.
type family struct {
	kind   string
	labels []string
	// values holds what a series says, by its labels: a counter's value, or a histogram's count and sum.
	values map[string]string
}

func gather(t *testing.T, registry *prometheus.Registry) map[string]family {
	t.Helper()
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := make(map[string]family, len(gathered))
	for _, metric := range gathered {
		f := family{kind: metric.GetType().String(), values: make(map[string]string)}
		for _, series := range metric.GetMetric() {
			f.labels = nil
			var labels []string
			for _, label := range series.GetLabel() {
				f.labels = append(f.labels, label.GetName())
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			value := fmt.Sprint(series.GetCounter().GetValue())
			if histogram := series.GetHistogram(); histogram != nil {
				value = fmt.Sprintf("%d in %.3gs", histogram.GetSampleCount(), histogram.GetSampleSum())
			}
			f.values[strings.Join(labels, ",")] = value
		}
		families[strings.TrimPrefix(metric.GetName(), "inactivity_operator_")] = f
	}
	return families
}

// TestSeries is the list of every series and its labels. They are an interface to dashboards and alerts: whoever changes
// this list changes those.
func TestSeries(t *testing.T) {
	m, registry := newMetrics(t)
	m.TwilioRequest("GetTask", 200, time.Millisecond)
	m.Act("Notice", "done")

	want := map[string][]string{
		"callbacks_total":                 {"COUNTER", "endpoint", "outcome"},
		"signature_failures_total":        {"COUNTER", "cause"},
		"twilio_requests_total":           {"COUNTER", "code", "operation"},
		"twilio_request_duration_seconds": {"HISTOGRAM", "operation"},
		"twilio_throttled_total":          {"COUNTER"},
		"acts_total":                      {"COUNTER", "act", "outcome"},
		"callback_drift_repairs_total":    {"COUNTER"},
		"sweep_duration_seconds":          {"HISTOGRAM"},
		"sweep_found_conversations_total": {"COUNTER"},
		"forwarded_events_total":          {"COUNTER", "outcome"},
		"forward_queued_events":           {"GAUGE"},
	}
	got := make(map[string][]string)
	for name, family := range gather(t, registry) {
		got[name] = append([]string{family.kind}, family.labels...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestNamesFollowPrometheusConventions(t *testing.T) {
	m, registry := newMetrics(t)
	m.TwilioRequest("GetTask", 200, time.Millisecond)
	m.Act("Notice", "done")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range families {
		if !strings.HasPrefix(metric.GetName(), "inactivity_operator_") {
			t.Errorf("%s does not say whose it is", metric.GetName())
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("promlint: %s: %s", problem.Metric, problem.Text)
	}
}

func TestKnownSeriesBeginAtZero(t *testing.T) {
	_, registry := newMetrics(t)
	families := gather(t, registry)
	for name, want := range map[string]int{
		"callbacks_total":          2*11 + 1,
		"signature_failures_total": 4,
		"forwarded_events_total":   6,
	} {
		if got := len(families[name].values); got != want {
			t.Errorf("%s has %d series, want %d", name, got, want)
		}
		for labels, value := range families[name].values {
			if value != "0" {
				t.Errorf("%s{%s} begins at %s, want 0", name, labels, value)
			}
		}
	}
}

func TestCounts(t *testing.T) {
	m, registry := newMetrics(t)
	m.Callback(EndpointTaskRouter, OutcomeEnqueued)
	m.Callback(EndpointTaskRouter, OutcomeEnqueued)
	m.Callback(EndpointConversations, OutcomeForbidden)
	m.SignatureFailure(CauseMismatch)
	m.Act("Notice", "done")
	m.Act("Notice", "lost")
	m.CallbackDriftRepaired()
	m.Sweep(2*time.Second, 3)
	m.Sweep(time.Second, -1)
	for _, status := range []int{0, 100, 200, 201, 304, 404, 429, 500, 599, 600} {
		m.TwilioRequest("GetTask", status, 30*time.Millisecond)
	}

	want := strings.Join([]string{
		`acts_total{act="Notice",outcome="done"} 1`,
		`acts_total{act="Notice",outcome="lost"} 1`,
		`callback_drift_repairs_total{} 1`,
		`callbacks_total{endpoint="conversations",outcome="forbidden"} 1`,
		`callbacks_total{endpoint="taskrouter",outcome="enqueued"} 2`,
		`signature_failures_total{cause="mismatch"} 1`,
		`sweep_duration_seconds{} 2 in 3s`,
		`sweep_found_conversations_total{} 3`,
		`twilio_request_duration_seconds{operation="GetTask"} 10 in 0.3s`,
		`twilio_requests_total{code="2xx",operation="GetTask"} 2`,
		`twilio_requests_total{code="3xx",operation="GetTask"} 1`,
		`twilio_requests_total{code="4xx",operation="GetTask"} 2`,
		`twilio_requests_total{code="5xx",operation="GetTask"} 2`,
		`twilio_requests_total{code="none",operation="GetTask"} 1`,
		`twilio_requests_total{code="other",operation="GetTask"} 2`,
		`twilio_throttled_total{} 1`,
	}, "\n")
	var got []string
	for name, family := range gather(t, registry) {
		for labels, value := range family.values {
			if value != "0" {
				got = append(got, name+"{"+labels+"} "+value)
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m, registry := newMetrics(t)
	var everybody sync.WaitGroup
	for worker := range 4 {
		everybody.Go(func() {
			for i := range 1000 {
				m.TwilioRequest(fmt.Sprintf("operation-%d-%d", worker, i), 200, time.Millisecond)
				m.Act(fmt.Sprintf("act-%d-%d", worker, i), fmt.Sprintf("outcome-%d-%d", worker, i))
			}
		})
	}
	everybody.Wait()

	families := gather(t, registry)
	for name, most := range map[string]int{
		"twilio_requests_total":           maxOperations + 1,
		"twilio_request_duration_seconds": maxOperations + 1,
		"acts_total":                      (maxActs + 1) * (maxOutcomes + 1),
	} {
		if got := len(families[name].values); got > most || got <= 1 {
			t.Errorf("%s has %d series, want more than one and at most %d", name, got, most)
		}
	}
	other := families["twilio_requests_total"].values[`code="2xx",operation="other"`]
	if want := fmt.Sprint(4000 - maxOperations); other != want {
		t.Errorf("%s requests were counted as other, want %s", other, want)
	}
	if got := m.operations.value("operation-new"); got != otherValue {
		t.Errorf("a new value became %q, want %q", got, otherValue)
	}
}

func TestNewFailsWhenRegisteredTwice(t *testing.T) {
	_, registry := newMetrics(t)
	if _, err := New(registry); err == nil {
		t.Error("New() on the same registry: want an error")
	}
}
