//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	// sweepInterval is short so that the leader's sweep takes part while a test lasts.
	sweepInterval = 5 * time.Second
	// lookSlack is how much later than a conversation is due the leader looks at it.
	lookSlack = 30 * time.Second
	// takeOver is how long nobody leads at most after a leader was killed: the lease of 15 s, and two retries of up to 2.4 s.
	takeOver = 20 * time.Second

	// soon is the limit of what takes seconds, on a busy machine.
	soon = 90 * time.Second
	// pollPeriod is how often is looked whether something has come true.
	pollPeriod = 250 * time.Millisecond
)

// What the workspace is set to when the operator comes: somebody else's callback.
const (
	foreignFilter = "task.created,reservation.accepted,worker.activity.update"
	foreignPath   = "/elsewhere?tenant=7"
)

// world is a Twilio account, a Kubernetes API server and replicas of the operator.
type world struct {
	t       *testing.T
	g       *gomega.WithT
	seed    uint64
	begun   time.Time
	dir     string
	manager string

	cluster   *cluster
	twilio    *twiliosim.Simulator
	exchanges *exchanges
	loser     *loser
	balancer  *balancer
	// elsewhere is another party's endpoint; heard counts what it was sent.
	elsewhere *httptest.Server
	heard     atomic.Int64

	counts *counts

	mu       sync.Mutex
	problems []string
	replicas []*replica
	slots    map[string]*replica
	// talks are the conversations by SID, tasks and reservations which conversation they belong to, by SID.
	talks               map[string]*talk
	tasks, reservations map[string]string
	// refused are the acts of people that the journal has although they were refused.
	refused map[string]bool
	// downUntil is until when the API server's absence may explain something.
	downUntil time.Time
}

// newWorld starts everything but the operator. What it leaves in a folder is kept when the test fails.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, g: gomega.NewWithT(t), seed: *seed, dir: dir, manager: *manager, counts: &counts{},
		slots: map[string]*replica{}, talks: map[string]*talk{}, tasks: map[string]string{}, reservations: map[string]string{}, refused: map[string]bool{},
	}
	t.Cleanup(func() {
		if t.Failed() {
			w.writeJournal()
			t.Logf("the journal, the logs and the audit log are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if w.cluster, err = startCluster(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.cluster.control.Stop(); err != nil {
			t.Error(err)
		}
	})
	if w.manager == "" {
		w.manager = filepath.Join(w.cluster.root, "bin", "manager")
	}
	w.elsewhere = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		w.heard.Add(1)
		answer.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(w.elsewhere.Close)
	if w.balancer, err = newBalancer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.balancer.close)
	w.twilio = twiliosim.New(twiliosim.Options{})
	t.Cleanup(w.twilio.Close)
	w.exchanges = &exchanges{twilio: w.twilio.Handler()}
	w.loser = &loser{draw: roll(w.seed, "lost answers")}
	for _, queue := range []string{queueSales, queueElsewhere} {
		w.twilio.AddTaskQueue(queue)
	}
	w.byOthers("/v1/Workspaces/"+w.twilio.WorkspaceSID(), url.Values{
		"EventCallbackUrl": {w.elsewhere.URL + foreignPath}, "EventsFilter": {foreignFilter},
	})
	w.begun = time.Now()
	return w
}

// writeJournal writes the simulator's journal into the world's folder, with who sent each request.
func (w *world) writeJournal() {
	if w.twilio == nil {
		return // it never came so far
	}
	file, err := os.Create(filepath.Join(w.dir, "journal.jsonl"))
	if err != nil {
		w.t.Error(err)
		return
	}
	defer file.Close()
	senders := w.exchanges.senders()
	encoder := json.NewEncoder(file)
	for _, entry := range w.twilio.Journal() {
		line := struct {
			twiliosim.Entry
			By string `json:"by,omitempty"`
		}{Entry: entry}
		if entry.Kind == twiliosim.KindRequest && len(senders) > 0 {
			line.By, senders = senders[0], senders[1:]
		}
		if err := encoder.Encode(line); err != nil {
			w.t.Error(err)
			return
		}
	}
}

// byOthers is a REST request of another program.
func (w *world) byOthers(path string, form url.Values) {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set(sourceHeader, others)
	request.SetBasicAuth(w.twilio.AccountSID(), w.twilio.AuthToken())
	answer, err := w.exchanges.do(others, request)
	if err != nil || answer.Code >= http.StatusMultipleChoices {
		w.wrong("another program cannot write %s: %d %s (%v)", path, answer.Code, bytes.TrimSpace(answer.Body.Bytes()), err)
	}
}

// others are the programs beside the operator, as senders of requests.
const others = "others"

// terms are what a policy of the test promises.
type terms struct {
	name    string // namespace/name
	queue   string
	timeout time.Duration
	warning time.Duration // before the end; 0: none
}

const (
	queueEveryone  = "Everyone"
	queueSales     = "Sales"
	queueElsewhere = "Back office" // no policy selects it

	holdAttribute = "inactivityHold"
	noticeText    = "This conversation has timed out."
	warningText   = "Are you still there?"
)

// policies are in force throughout a test.
var policies = []terms{
	{name: namespace + "/support", queue: queueEveryone, timeout: time.Minute},
	{name: namespace + "/sales", queue: queueSales, timeout: 90 * time.Second, warning: time.Minute},
}

// termsOf are those of a queue's policy; false: no policy selects it.
func termsOf(queue string) (terms, bool) {
	for _, one := range policies {
		if one.queue == queue {
			return one, true
		}
	}
	return terms{}, false
}

// applyPolicies makes the Secret and the policies.
func (w *world) applyPolicies(ctx context.Context) {
	w.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "twilio"},
		StringData: map[string]string{"accountSid": w.twilio.AccountSID(), "authToken": w.twilio.AuthToken()},
	}
	if err := w.cluster.Create(ctx, secret); err != nil {
		w.t.Fatal(err)
	}
	for _, one := range policies {
		policy := &v1alpha1.InactivityPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: one.object()},
			Spec: v1alpha1.InactivityPolicySpec{
				CredentialsSecretRef: v1alpha1.SecretReference{Name: secret.Name},
				Workspace:            v1alpha1.WorkspaceReference{SID: w.twilio.WorkspaceSID()},
				Timeout:              v1alpha1.Duration(one.timeout.String()),
				Message:              noticeText,
				Selector:             &v1alpha1.Selector{TaskQueues: []string{one.queue}},
				Hold:                 &v1alpha1.Hold{Attribute: holdAttribute},
				Callback:             &v1alpha1.Callback{OnConflict: v1alpha1.ConflictReplace},
			},
		}
		if one.warning > 0 {
			policy.Spec.Warnings = []v1alpha1.Warning{{Before: v1alpha1.Duration(one.warning.String()), Message: warningText}}
		}
		if err := w.cluster.Create(ctx, policy); err != nil {
			w.t.Fatal(err)
		}
	}
}

// object is the policy's name without its namespace.
func (t terms) object() string { return strings.TrimPrefix(t.name, namespace+"/") }

// objects are the names of all policies.
func objects() (names []string) {
	for _, one := range policies {
		names = append(names, one.object())
	}
	return names
}

// waitServing waits until so many replicas are ready, and the policies are in force.
func (w *world) waitServing(ctx context.Context, replicas int) {
	w.t.Helper()
	w.eventually(soon, func() string {
		if ready := w.balancer.readyCount(); ready < replicas {
			return fmt.Sprintf("%d of %d replicas are ready", ready, replicas)
		}
		for _, name := range objects() {
			if pending := w.cluster.notReady(ctx, name); pending != "" {
				return pending
			}
		}
		return ""
	})
}

// eventually waits until nothing is pending any more.
func (w *world) eventually(limit time.Duration, pending func() string) {
	w.t.Helper()
	w.g.Eventually(pending).WithTimeout(limit).WithPolling(pollPeriod).Should(gomega.BeEmpty())
}

// wrong notes a violation.
func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// tell logs what happens.
func (w *world) tell(format string, args ...any) {
	w.t.Logf("%6.1fs  %s", time.Since(w.begun).Seconds(), fmt.Sprintf(format, args...))
}

// shownProblems is how many violations of one kind are shown: hundreds say no more.
const shownProblems = 5

// kindOf is what a violation is about: an invariant, if it names one.
var kindOf = regexp.MustCompile(`I[1-8]`)

// verdict fails the test by what was noted.
func (w *world) verdict() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	shown := map[string]int{}
	for _, problem := range w.problems {
		kind := kindOf.FindString(problem)
		if shown[kind]++; shown[kind] <= shownProblems {
			w.t.Errorf("seed %d: %s", w.seed, problem)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(shown)) {
		if left := shown[kind] - shownProblems; left > 0 {
			w.t.Errorf("seed %d: and %d more like %q", w.seed, left, kind)
		}
	}
}

// checkLogs looks for what must not be in the operator's logs.
func (w *world) checkLogs() {
	w.mu.Lock()
	started := slices.Clone(w.replicas)
	w.mu.Unlock()
	for _, r := range started {
		for _, secret := range []string{w.twilio.AuthToken(), numberPrefix, customerText, agentText, noticeText, warningText} {
			if r.logged([]byte(secret)) {
				w.wrong("the log of %s holds %q", r.name, secret)
			}
		}
	}
}

// apiServerWasDown says whether the API server was away just now or a little before.
func (w *world) apiServerWasDown() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.downUntil)
}
