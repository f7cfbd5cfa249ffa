package controllers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func because(reason string) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) {
		if spec.OnTimeout == nil {
			spec.OnTimeout = &v1alpha1.OnTimeout{}
		}
		spec.OnTimeout.Reason = reason
	}
}

// record is the operator's entry on the task.
func (w *world) record(started twiliosim.Started) map[string]any {
	w.t.Helper()
	entry, _ := attributesOf(w.t, w, started)["inactivityPolicy"].(map[string]any)
	return entry
}

func TestTheTaskTellsWhoEndedTheConversationAndWhy(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, because("gone quiet"), warning("5m", "Still there?"), warning("2m", "Last call"))
	started := w.acceptedConversation()
	w.keepUp(time.Minute)
	w.says(started, twiliosim.Agent, "How can I help?")
	w.quiet()
	asked := w.seen(started).Messages[1]
	w.passAwake(started, timeout+grain)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", "Last call", notice}))

	entry := w.record(started)
	at, err := time.Parse(time.RFC3339, fmt.Sprint(entry["at"]))
	w.do(err)
	w.Expect(at).To(gomega.BeTemporally("~", w.said(started)[2].Created, promised))
	w.Expect(entry["idleSeconds"]).To(gomega.And(gomega.BeNumerically(">=", timeout.Seconds()), gomega.BeNumerically("<=", (timeout+promised).Seconds())))
	delete(entry, "at")
	delete(entry, "idleSeconds")
	w.Expect(entry).To(gomega.Equal(map[string]any{
		"policy": w.namespace + "/plain", "step": "notice", "episode": asked.SID, "waitingOn": "Customer", "warnings": 2.0, "reason": "gone quiet",
	}))
}

func TestTheTaskTellsOfASilentEndingToo(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, saying(""))
	started := w.acceptedConversation()
	first := w.seen(started).Messages[0]
	w.keepUp(timeout)
	w.ends(started)
	entry := w.record(started)
	w.Expect(entry).To(gomega.HaveKey("at"))
	w.Expect(entry["idleSeconds"]).To(gomega.BeNumerically(">=", timeout.Seconds()))
	delete(entry, "at")
	delete(entry, "idleSeconds")
	w.Expect(entry).To(gomega.Equal(map[string]any{
		"policy": w.namespace + "/plain", "step": "finish", "episode": first.SID, "waitingOn": "Agent", "reason": "Inactivity timeout",
	}))
}

func TestWhatOtherProgramsKeepOnTheTaskStaysAsTheyWroteIt(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warning("5m", "Still there?"))
	started := w.acceptedConversation()
	task, _ := w.twilio.State().Task(started.TaskSID)
	foreign := `"price":1.10,"exact":12345678901234567890,"small":1e-7,"html":"<b>&amp;</b>","escaped":"\u00e9\u003c\/","plain":"é ✓",` +
		`"nothing":null,"list":[1,2.0,{"b":true,"a":" x "}],"":"no name"`
	w.postToTwilio("/v1/Workspaces/"+started.WorkspaceSID+"/Tasks/"+started.TaskSID,
		url.Values{"Attributes": {strings.TrimSuffix(task.Attributes, "}") + "," + foreign + "}"}})
	before := w.rawAttributes(started)
	w.passAwake(started, timeout+grain)
	w.ends(started)
	after := w.rawAttributes(started)
	if after["inactivityPolicy"] == "" {
		t.Error("the task has no record")
	}
	delete(after, "inactivityPolicy")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("attributes of others (-before +after):\n%s", diff)
	}
}

// rawAttributes are the attributes of the task as they are written.
func (w *world) rawAttributes(started twiliosim.Started) map[string]string {
	w.t.Helper()
	task, _ := w.twilio.State().Task(started.TaskSID)
	var fields map[string]json.RawMessage
	w.do(json.Unmarshal([]byte(task.Attributes), &fields))
	raw := make(map[string]string, len(fields))
	for key, value := range fields {
		raw[key] = string(value)
	}
	return raw
}

func TestWithoutRoomForTheRecordNothingIsDoneUntilSomebodyMakesRoom(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, warning("5m", "Still there?"))
	const most = 4096
	started := w.armed(twiliosim.Start{Attributes: map[string]any{"notes": ""}})
	task, _ := w.twilio.State().Task(started.TaskSID)
	notes := strings.Repeat("n", most-len(task.Attributes)-100)
	w.do(w.twilio.SetTaskAttribute(started.TaskSID, "notes", notes))
	written := len(w.twilio.Writes())
	w.keepUp(2 * timeout)
	note := w.warningEvent(policy, "ClaimImpossible")
	w.Expect(note).To(containsAll(started.ConversationSID, started.TaskSID, "shorten"))
	w.Expect(note).NotTo(gomega.ContainSubstring("nnnn"))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	for _, write := range w.writesAbout(started, written) {
		w.Expect(write).To(gomega.ContainSubstring("Timers.Inactive"), "nothing is written but the timer")
	}

	w.do(w.twilio.RemoveTaskAttribute(started.TaskSID, "notes"))
	w.keepUp(timeout)
	w.eventuallySaid(started, "Still there?")
	w.keepUp(5 * time.Minute)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
}

// recorded is an operator whose log and metrics are kept.
type recorded struct {
	registry *prometheus.Registry
	mu       sync.Mutex
	lines    []string
}

// logLevel is the most that the operator's own code logs, and some of its libraries'. From level 6 on, client-go logs what
// it says to the API server and what that answers: policies, with their texts.
const logLevel = 5

// startRecorded runs an operator as startOperator does, and keeps all that it logs.
func (w *world) startRecorded() *recorded {
	w.t.Helper()
	kept := &recorded{registry: prometheus.NewRegistry()}
	logger := funcr.NewJSON(func(line string) {
		kept.mu.Lock()
		defer kept.mu.Unlock()
		kept.lines = append(kept.lines, line)
	}, funcr.Options{Verbosity: logLevel})
	listener, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	w.do(err)
	public, err := callback.ParsePublicURL("http://" + listener.Addr().String())
	w.do(err)
	collectors, err := metrics.New(kept.registry)
	w.do(err)
	mgr, err := ctrl.NewManager(apiServer, ctrl.Options{
		Scheme: scheme, Logger: logger,
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		Client:                  client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		Controller:              config.Controller{SkipNameValidation: new(true)},
		GracefulShutdownTimeout: new(30 * time.Second),
	})
	w.do(err)
	ctx, cancel := context.WithCancel(log.IntoContext(context.Background(), logger))
	checks, err := operator.AddToManager(ctx, mgr, operator.Config{
		PublicURL: public, ReceiverListener: listener, ReceiverDrainDelay: -1, TwilioAPIURL: w.twilioURL, UserAgent: "test",
		SweepInterval: sweepEvery, SyncInterval: 10 * time.Minute, MaxConcurrent: 4, Metrics: collectors, Clock: w.clock,
	})
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			w.t.Errorf("the operator ended with: %v", err)
		}
	})
	w.Eventually(func() error { return checks.Ready(httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)) }).Should(gomega.Succeed())
	w.replicas = append(w.replicas, &replica{publicURL: public, manager: mgr})
	return kept
}

// log is everything that was logged.
func (r *recorded) log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// audit are the log's lines about acts.
func (r *recorded) audit(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for _, line := range r.log() {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fields["msg"] == "Acted on the conversation" {
			lines = append(lines, fields)
		}
	}
	return lines
}

// acts are the values of the metric acts_total that are not zero.
func (r *recorded) acts(t *testing.T) map[string]int {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]int{}
	for _, family := range families {
		if family.GetName() != "inactivity_operator_acts_total" {
			continue
		}
		for _, series := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if count := int(series.GetCounter().GetValue()); count > 0 {
				acts[labels["act"]+"/"+labels["outcome"]] = count
			}
		}
	}
	return acts
}

// conversationEvents are the events on a policy about acts on conversations: how many of each reason.
func (w *world) conversationEvents(policy *v1alpha1.InactivityPolicy) map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for _, event := range w.eventsOn(policy) {
		if event.Action != "ActOnConversation" {
			continue
		}
		counts[event.Reason]++
		if event.Series != nil {
			counts[event.Reason] += int(event.Series.Count) - 1
		}
	}
	return counts
}

// eventsOn are all events on a policy.
func (w *world) eventsOn(policy *v1alpha1.InactivityPolicy) []eventsv1.Event {
	w.t.Helper()
	var list eventsv1.EventList
	w.do(w.cluster.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	var found []eventsv1.Event
	for _, event := range list.Items {
		if event.Regarding.Name == policy.Name {
			found = append(found, event)
		}
	}
	return found
}

// canaries are what nobody may find outside of Twilio.
var canaries = map[string]string{
	"notice": "canary-of-the-notice", "warning": "canary-of-the-warning", "holding": "canary-of-the-holding-text",
	"customer": "canary-of-the-customer", "agent": "canary-of-the-agent", "name": "Canaria Birdwell", "phone": "15005557731",
	"attribute": "canary-of-an-attribute",
}

func TestEveryActIsLoggedCountedAndAnEventOnceAndNoneTellsATextANumberOrAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := w.startRecorded()
	policy := w.inForce(saying(canaries["notice"]+" {{.Customer.Name}} {{.Attributes.canary}}"),
		warning("5m", v1alpha1.Text(canaries["warning"]+" {{.Customer.Name}}")), warning("2m", "refused"),
		func(spec *v1alpha1.InactivityPolicySpec) {
			spec.Unanswered = &v1alpha1.Unanswered{After: "2m", Message: v1alpha1.Text(canaries["holding"])}
		})
	w.twilio.Fail(twiliosim.Fault{
		Match: func(r *http.Request, form url.Values) bool {
			return noticeWrite.is(r, form) && form.Get("Body") == "refused"
		},
		Status: http.StatusBadRequest, Code: 50504, Message: `The text "` + canaries["warning"] + `" to +` + canaries["phone"] + ` is too long`,
	})
	started := w.armed(twiliosim.Start{From: "+" + canaries["phone"], Body: canaries["customer"],
		Attributes: map[string]any{"customerName": canaries["name"], "canary": canaries["attribute"]}})
	w.keepUp(2 * time.Minute)
	w.eventuallySaid(started, canaries["holding"])
	w.says(started, twiliosim.Agent, canaries["agent"])
	w.passAwake(started, timeout+grain)
	w.ends(started)
	w.Expect(w.said(started)).To(gomega.HaveLen(3))
	w.keepUp(2 * time.Minute)

	lines := kept.audit(t)
	outcomes, reasons := map[string]int{}, map[string]int{}
	for _, line := range lines {
		outcomes[fmt.Sprint(line["act"], "/", line["outcome"])]++
		reason := fmt.Sprint(line["act"])
		if line["outcome"] == "refused" {
			reason = "TextRefused"
		}
		if reason != "Rearm" { // that is no event
			reasons[reason]++
		}
		w.Expect(line).To(gomega.HaveKeyWithValue("policy", w.namespace+"/plain"))
		w.Expect(line).To(gomega.HaveKeyWithValue("conversation", started.ConversationSID))
		w.Expect(line).To(gomega.HaveKeyWithValue("workspace", started.WorkspaceSID))
		w.Expect(line).To(gomega.HaveKey("reason"))
	}
	for _, once := range []string{
		"Arm/done", "HoldingText/done", "Warn/done", "Warn/refused", "Notice/done", "Finish/done", "CloseConversation/done",
	} {
		w.Expect(outcomes).To(gomega.HaveKeyWithValue(once, 1), "the log: %v", lines)
	}
	w.Expect(kept.acts(t)).To(gomega.Equal(outcomes), "what is counted is what is logged")
	w.Eventually(func() map[string]int { return w.conversationEvents(policy) }).Should(gomega.Equal(reasons), "an event for each line that says more than that it goes on")

	status, err := json.Marshal(w.get(policy).Status)
	w.do(err)
	families, err := kept.registry.Gather()
	w.do(err)
	published, err := json.Marshal(w.eventsOn(policy))
	w.do(err)
	everything := map[string]string{
		"the log": strings.Join(kept.log(), "\n"), "an event": string(published), "the status": string(status), "a metric": fmt.Sprint(families),
	}
	for where, text := range everything {
		w.Expect(text).NotTo(gomega.BeEmpty(), where)
		for of, canary := range canaries {
			if bytes.Contains([]byte(text), []byte(canary)) {
				t.Errorf("%s tells the %s: %s", where, of, around(text, canary))
			}
		}
		if strings.Contains(text, w.twilio.AuthToken()) {
			t.Errorf("%s tells the auth token", where)
		}
	}
}

func TestEachOfSeveralConversationsHasItsOwnEvents(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	all := []twiliosim.Started{w.armed(twiliosim.Start{}), w.armed(twiliosim.Start{}), w.armed(twiliosim.Start{})}
	w.keepUp(timeout)
	for _, started := range all {
		w.ends(started)
		for _, reason := range []string{"Arm", "Notice", "Finish", "CloseConversation"} {
			w.Eventually(func() bool {
				for _, event := range w.eventsOn(policy) {
					if event.Reason == reason && strings.Contains(event.Note, started.ConversationSID) {
						return true
					}
				}
				return false
			}).WithTimeout(2*time.Second).Should(gomega.BeTrue(), "there is an event %s about %s", reason, started.ConversationSID)
		}
	}
}

// around is the place in a text where a word is.
func around(text, word string) string {
	const context = 200
	at := strings.Index(text, word)
	return text[max(0, at-context):min(len(text), at+len(word)+context)]
}
