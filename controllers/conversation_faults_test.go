package controllers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// write is one kind of write of the operator's.
type write struct {
	path *regexp.Regexp
	// field is in its form.
	field string
}

func (x write) is(r *http.Request, form url.Values) bool {
	return r.Method == http.MethodPost && x.path.MatchString(r.URL.Path) && form.Has(x.field)
}

var (
	taskPath         = regexp.MustCompile(`/Tasks/WT\w+$`)
	conversationPath = regexp.MustCompile(`/Conversations/CH\w+$`)

	webhookWrite = write{regexp.MustCompile(`/Webhooks$`), "Configuration.Url"}
	timerWrite   = write{conversationPath, "Timers.Inactive"}
	claimWrite   = write{taskPath, "Attributes"}
	noticeWrite  = write{regexp.MustCompile(`/Messages$`), "Body"}
	channelWrite = write{regexp.MustCompile(`/Channels/UO\w+$`), "Status"}
	taskWrite    = write{taskPath, "AssignmentStatus"}
	closeWrite   = write{conversationPath, "State"}
)

// arming and ending are the operator's writes to a conversation that times out.
var (
	arming = map[string]write{"webhook": webhookWrite, "timer": timerWrite}
	ending = map[string]write{"claim": claimWrite, "notice": noticeWrite, "channel": channelWrite, "close": closeWrite}
	// plainEnding are those to a conversation whose task has no interaction.
	plainEnding = map[string]write{"claim": claimWrite, "notice": noticeWrite, "task": taskWrite, "close": closeWrite}
)

func TestAWriteThatFailsOnceIsCarriedThroughExactlyOnce(t *testing.T) {
	faults := map[string]twiliosim.Fault{
		"the answer is lost after the write": {Drop: twiliosim.DropAfter},
		"the connection is reset before it":  {Drop: twiliosim.DropBefore},
		"Twilio answers 500 without it":      {Status: http.StatusInternalServerError},
		"Twilio answers 503 after it":        {Status: http.StatusServiceUnavailable, After: true},
		"Twilio answers 429":                 {Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"1"}}},
		"a proxy answers 400 in HTML":        {Status: http.StatusBadRequest, Body: "<html>Bad request</html>"},
		"somebody else changes it meanwhile": {Status: http.StatusConflict, Code: 50391},
		"a proxy answers 502 in HTML":        {Status: http.StatusBadGateway, Body: "<html>Bad gateway</html>"},
	}
	for how, fault := range faults {
		for _, phase := range []map[string]write{arming, ending} {
			for what, failing := range phase {
				t.Run(what+": "+how, func(t *testing.T) {
					t.Parallel()
					w, _, _ := start(t)
					fault := fault
					fault.Times, fault.Match = 1, failing.is
					w.twilio.Fail(fault)
					started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
					w.accept(started)
					w.eventuallyArmed(started)
					w.pass(timeout)
					// A claim whose notice may be under way is left alone until its lease is over.
					w.eventually(2*promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
					w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "one notice")
					w.Expect(w.seen(started).Webhooks).To(gomega.HaveLen(1), "one webhook")
					w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
				})
			}
		}
	}
}

func TestTheTaskOfAPlainConversationIsCompletedAlthoughTheAnswerWasLost(t *testing.T) {
	for how, fault := range map[string]twiliosim.Fault{
		"after the write":  {Drop: twiliosim.DropAfter},
		"before the write": {Drop: twiliosim.DropBefore},
	} {
		t.Run(how, func(t *testing.T) {
			w, _, _ := start(t)
			fault.Times, fault.Match = 1, taskWrite.is
			w.twilio.Fail(fault)
			started := w.conversation(w.twilio.StartPlainConversation("sms", customer, "Hello?"))
			w.accept(started)
			w.eventuallyArmed(started)
			w.pass(timeout)
			w.eventually(2*promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
			w.Expect(w.notices(started)).To(gomega.HaveLen(1))
			w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
		})
	}
}

func TestAnEndingThatACrashCutOffIsCarriedThroughByTheNextOperator(t *testing.T) {
	for kind, writes := range map[string]map[string]write{"": ending, " of a plain conversation": plainEnding} {
		for what, last := range writes {
			for _, moment := range []string{"before", "after"} {
				for _, message := range []string{notice, ""} {
					if message == "" && what == "notice" {
						continue
					}
					name := moment + " the " + what + kind
					if message == "" {
						name += ", silently"
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						testCrash(t, crash{last: last, passes: moment == "after", message: message, plain: kind != ""})
					})
				}
			}
		}
	}
}

// crash is a crash at a write.
type crash struct {
	last write
	// passes says that the write is done, and its answer lost.
	passes  bool
	message string
	plain   bool
}

func testCrash(t *testing.T, crash crash) {
	w, crashing, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Message = crash.message })
	begin := w.twilio.StartConversation
	if crash.plain {
		begin = w.twilio.StartPlainConversation
	}
	started := w.conversation(begin("sms", customer, "Hello?"))
	w.accept(started)
	w.eventuallyArmed(started)

	// From the chosen write on, nothing of the operator's reaches Twilio any more.
	var mutex sync.Mutex
	cut := false
	intercept := func(r *http.Request, form url.Values) bool {
		mutex.Lock()
		defer mutex.Unlock()
		passes := !cut
		if crash.last.is(r, form) {
			passes = passes && crash.passes
			cut = true
		}
		return passes
	}
	w.onRequest.Store(&intercept)
	w.pass(timeout)
	w.eventually(promised, func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return cut
	}, "the operator has come to the write")
	w.settle()
	crashing.stop()
	w.onRequest.Store(nil)

	w.startOperator()
	w.eventually(promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
	w.Expect(w.taskStatus(started)).To(gomega.BeElementOf("completed", "deleted"))
	if crash.message == "" {
		w.Expect(w.seen(started).Messages).To(gomega.HaveLen(1), "nothing is said")
		return
	}
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "one notice")
}

func TestAnAnswerToASilentEndingThatIsJustClaimedStopsIt(t *testing.T) {
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Message = "" })
	started := w.acceptedConversation()
	var once sync.Once
	var claimed atomic.Bool
	answer := func(r *http.Request, form url.Values) bool {
		if claimed.Load() && r.Method == http.MethodGet {
			once.Do(func() { w.do(w.twilio.Say(started.ConversationSID, twiliosim.Customer, "Wait!")) })
		}
		if claimWrite.is(r, form) {
			claimed.Store(true)
		}
		return true
	}
	w.onRequest.Store(&answer)
	w.pass(timeout)
	w.eventually(promised, func() bool { return len(w.seen(started).Messages) == 2 }, "the customer has answered")
	w.goesOn(started)
}

// goesOn shows that a conversation is not ended, while the operator is seen at work on another one.
func (w *world) goesOn(started twiliosim.Started) {
	w.t.Helper()
	control := w.conversation(w.twilio.StartConversation("sms", "+15005550009", "Hello?"))
	w.accept(control)
	w.eventuallyArmed(control)
	w.pass(timeout - promised)
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.Expect(w.seen(started).ChannelStatus).To(gomega.Equal("active"))
}

func TestAnAnswerAtTheWorstMomentStopsTheEnding(t *testing.T) {
	for when, test := range map[string]struct {
		before func() func(*http.Request, url.Values) bool
		told   int
	}{
		"before the claim":             {func() func(*http.Request, url.Values) bool { return claimWrite.is }, 1},
		"between claim and notice":     {func() func(*http.Request, url.Values) bool { return noticeWrite.is }, 1},
		"between notice and last look": {afterNotice, 1},
	} {
		t.Run(when, func(t *testing.T) {
			w, _, _ := start(t)
			started := w.acceptedConversation()
			var once sync.Once
			moment := test.before()
			answer := func(r *http.Request, form url.Values) bool {
				if moment(r, form) {
					once.Do(func() { w.do(w.twilio.Say(started.ConversationSID, twiliosim.Customer, "Wait, I am here!")) })
				}
				return true
			}
			w.onRequest.Store(&answer)
			w.pass(timeout)
			w.eventually(promised, func() bool { return len(w.seen(started).Messages) == 3 }, "notice and answer are there")
			answered := w.clock.Now()
			w.pass(timeout - w.clock.Since(answered) - promised)
			w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"), "the conversation goes on")
			w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
			w.Expect(w.notices(started)).To(gomega.HaveLen(test.told))

			w.pass(promised)
			w.eventuallyClosed(started)
			w.Expect(w.notices(started)).To(gomega.HaveLen(test.told+1), "the next silence has its own notice")
		})
	}
}

// afterNotice recognises the first look at the messages after the notice.
func afterNotice() func(*http.Request, url.Values) bool {
	var sent atomic.Bool
	return func(r *http.Request, form url.Values) bool {
		if noticeWrite.is(r, form) {
			sent.Store(true)
			return false
		}
		return sent.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Messages")
	}
}

func TestAttributesThatOthersWriteBetweenReadAndClaimSurvive(t *testing.T) {
	w, _, _ := start(t)
	started := w.acceptedConversation()
	var once sync.Once
	rewrite := func(r *http.Request, form url.Values) bool {
		if claimWrite.is(r, form) && r.Header.Get("If-Match") != "" {
			once.Do(func() { w.setAttribute(started, "disposition", "sale") })
		}
		return true
	}
	w.onRequest.Store(&rewrite)
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(attributesOf(t, w, started)).To(gomega.HaveKeyWithValue("disposition", "sale"))
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	refused := 0
	for _, entry := range w.writesTo("/Tasks/") {
		if entry.Status == http.StatusPreconditionFailed {
			refused++
		}
	}
	w.Expect(refused).To(gomega.Equal(1), "the claim against the old version is refused")
}

// setAttribute has another program write into the task's attributes.
func (w *world) setAttribute(started twiliosim.Started, key, value string) {
	w.t.Helper()
	w.setAttributeJSON(started, key, `"`+value+`"`)
}

func (w *world) setAttributeJSON(started twiliosim.Started, key, value string) {
	w.t.Helper()
	task, _ := w.twilio.State().Task(started.TaskSID)
	attributes := strings.TrimSuffix(task.Attributes, "}") + `,"` + key + `":` + value + `}`
	w.postToTwilio("/v1/Workspaces/"+started.WorkspaceSID+"/Tasks/"+started.TaskSID, url.Values{"Attributes": {attributes}})
}

// postToTwilio is a write of another program's.
func (w *world) postToTwilio(path string, form url.Values) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.twilioURL+path, strings.NewReader(form.Encode()))
	w.do(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(w.twilio.AccountSID(), w.twilio.AuthToken())
	response, err := http.DefaultClient.Do(request)
	w.do(err)
	w.do(response.Body.Close())
	w.Expect(response.StatusCode).To(gomega.BeElementOf(http.StatusOK, http.StatusCreated))
}

func TestANoticeThatTwilioRefusesForGoodDoesNotKeepTheConversationOpen(t *testing.T) {
	w, _, policy := start(t)
	w.twilio.Fail(twiliosim.Fault{Match: noticeWrite.is, Status: http.StatusBadRequest, Code: 50504, Message: "Message body is too long"})
	started := w.acceptedConversation()
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
	w.Eventually(func() []string { return w.eventReasons(policy) }).Should(gomega.ContainElement("TextRefused"))
}

func TestANotifyPolicyGivesUpANoticeThatTwilioRefusesForGood(t *testing.T) {
	w, _, policy := start(t, func(spec *v1alpha1.InactivityPolicySpec) {
		spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
	})
	w.twilio.Fail(twiliosim.Fault{Match: noticeWrite.is, Status: http.StatusBadRequest, Code: 50504, Message: "Message body is too long"})
	started := w.acceptedConversation()
	w.pass(timeout)
	w.Eventually(func() []string { return w.eventReasons(policy) }).Should(gomega.ContainElement("TextRefused"))
	w.pass(3 * timeout)
	w.Expect(w.writesTo("/Messages")).To(gomega.HaveLen(1))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestLostCallbacksCostNoConversation(t *testing.T) {
	w, _, _ := start(t)
	w.loseCallbacks.Store(true)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.pass(timeout - time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.pass(time.Second)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

// twins are a leader and a follower behind one public URL.
func twins(t *testing.T) (w *world, follower *replica) {
	t.Helper()
	w, leader, policy := start(t)
	w.followLeader()
	follower = w.startOperator(func(c *operator.Config) { c.PublicURL = leader.publicURL })
	w.eventuallyReady(policy)
	return w, follower
}

func TestReplicasThatHearOfTheSameConversationsEndEachOnce(t *testing.T) {
	w, follower := twins(t)
	const conversations = 10
	all := make([]twiliosim.Started, 0, conversations)
	for i := range conversations {
		started := w.conversation(w.twilio.StartConversation("sms", customer[:len(customer)-1]+string(rune('0'+i)), "Hello?"))
		w.accept(started)
		w.eventuallyArmed(started)
		all = append(all, started)
	}
	// The wake-ups reach the follower too. No time passes meanwhile: a claim must not run out.
	w.clock.Step(timeout)
	w.settle()
	w.deliverAllAgain("onConversationStateUpdated", follower)
	for _, started := range all {
		w.Eventually(func() string { return w.seen(started).State }).Should(gomega.Equal("closed"))
		w.Expect(w.notices(started)).To(gomega.HaveLen(1))
		w.Expect(w.seen(started).Webhooks).To(gomega.HaveLen(1))
	}
}

// deliverAllAgain delivers every callback of a kind to another replica as well.
func (w *world) deliverAllAgain(event string, to *replica) {
	w.t.Helper()
	for _, entry := range w.twilio.Journal() {
		if entry.Kind == twiliosim.KindCallback && entry.Event == event {
			w.deliverAgain(entry, to)
		}
	}
}

// deliverAgain delivers a callback of the journal to another replica.
func (w *world) deliverAgain(entry twiliosim.Entry, to *replica) {
	w.t.Helper()
	called, err := url.Parse(entry.URL)
	w.do(err)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, to.address+called.Path, strings.NewReader(entry.Form.Encode()))
	w.do(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Twilio-Signature", twiliosim.Signature(w.twilio.AuthToken(), to.publicURL.String()+called.Path, entry.Form))
	response, err := http.DefaultClient.Do(request)
	w.do(err)
	w.do(response.Body.Close())
	w.Expect(response.StatusCode).To(gomega.Equal(http.StatusNoContent))
}

func TestAnAcceptThatIsRepeatedToAnotherReplicaAfterTheAgentLeftWritesNothing(t *testing.T) {
	w, follower := twins(t)
	started := w.acceptedConversation()
	w.settle()
	w.do(w.twilio.Leave(started.ConversationSID))
	written, looked := len(w.twilio.Writes()), len(w.twilio.Journal())
	w.deliverAllAgain(acceptEvent, follower)
	w.Eventually(func() []string { return about(w, looked, started) }).Should(gomega.ContainElement(gomega.HaveSuffix("/Tasks")), "the follower looks at the tasks")
	w.pass(promised)
	w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty())
}

func TestASweepThatMeetsAFreshAcceptAddsNoSecondWebhook(t *testing.T) {
	w, follower := twins(t)
	w.loseCallbacks.Store(true)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.pass(sweepEvery - 2*time.Second)
	w.accept(started)
	w.settle()
	// The sweep comes two seconds after the accept, and its look is over before the event reaches the follower.
	looked := len(w.twilio.Journal())
	w.pass(2 * time.Second)
	w.Eventually(func() []string { return about(w, looked, started) }).Should(gomega.ContainElement(gomega.HaveSuffix("/Webhooks")), "the leader looks")
	w.Expect(w.seen(started).Webhooks).To(gomega.BeEmpty(), "the leader leaves the first webhook to the event's replica")
	w.deliverAllAgain(acceptEvent, follower)
	w.eventuallyArmed(started)
	w.pass(3 * time.Minute)
	w.Expect(w.seen(started).Webhooks).To(gomega.HaveLen(1))
}

func TestALateAcceptEventIsObservedInFullAndArmedAtOnce(t *testing.T) {
	t.Run("lists show tasks at once", func(t *testing.T) { lateAcceptArms(t, twiliosim.Dialect{}) })
	t.Run("the list of the conversation's tasks lags behind", func(t *testing.T) { lateAcceptArms(t, twiliosim.Dialect{TaskIndexLag: time.Minute}) })
}

func lateAcceptArms(t *testing.T, dialect twiliosim.Dialect) {
	w := newWorldOf(t, dialect)
	r := w.startOperator()
	w.inForce()
	w.loseCallbacks.Store(true)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.settle()
	for _, entry := range w.twilio.Journal() {
		if entry.Kind == twiliosim.KindCallback && entry.Event == acceptEvent {
			late := w.clock.Now().Add(-10 * time.Minute)
			entry.Form.Set("Timestamp", strconv.FormatInt(late.Unix(), 10))
			entry.Form.Set("TimestampMs", strconv.FormatInt(late.UnixMilli(), 10))
			w.deliverAgain(entry, r)
			break
		}
	}
	w.eventuallyArmed(started)
	w.Expect(w.seen(started).InactiveAfter).To(gomega.Equal(timeout))
}

func TestTwilioIsNotAskedAgainBeforeItsRetryAfter(t *testing.T) {
	w := newWorld(t)
	kept := w.startRecorded()
	w.inForce()
	started := w.acceptedConversation()
	w.twilio.Fail(twiliosim.Fault{Match: claimWrite.is, Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"1800"}}})
	tried := func() int {
		count := 0
		for _, entry := range w.writesTo(started.TaskSID) {
			if entry.Status == http.StatusTooManyRequests {
				count++
			}
		}
		return count
	}
	w.pass(timeout)
	w.eventually(promised, func() bool { return tried() == 1 }, "the claim is refused")
	// The wait begins when the operator has read the answer: the clock must not be stepped before that.
	w.Eventually(kept.log).Should(gomega.ContainElement(gomega.ContainSubstring("Waiting as long as Twilio has asked")))
	w.pass(10 * time.Minute)
	w.Expect(tried()).To(gomega.Equal(1))
	w.twilio.ClearFaults()
	w.pass(20 * time.Minute)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestANoticeThatWasSentLateByACrashedReplicaIsNotSentAgain(t *testing.T) {
	w, _, _ := start(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.clock.Step(2 * time.Second) // So that the silence begins with the accept.
	w.accept(started)
	w.eventuallyArmed(started)
	// Another replica has claimed the notice; when its lease has run out, and the step has just been taken over, the
	// notice that it had sent comes to light.
	episode := started.ReservationSID
	claimedAt := w.clock.Now().Add(timeout).UTC().Truncate(time.Second)
	w.setAttributeJSON(started, "inactivityPolicy", `{"policy":"`+w.namespace+`/plain","step":"notice","episode":"`+episode+
		`","at":"`+claimedAt.Format(time.RFC3339)+`","idleSeconds":900}`)
	var once sync.Once
	late := func(r *http.Request, form url.Values) bool {
		if claimWrite.is(r, form) && r.Header.Get("If-Match") != "" {
			once.Do(func() {
				marker := `{"inactivityPolicy":{"policy":"` + w.namespace + `/plain","step":"notice","episode":"` + episode +
					`","idleSince":"` + claimedAt.Add(-timeout).Format(time.RFC3339) + `","action":"Close"}}`
				w.postToTwilio("/v1/Conversations/"+started.ConversationSID+"/Messages", url.Values{"Body": {notice}, "Attributes": {marker}})
			})
		}
		return true
	}
	w.onRequest.Store(&late)
	w.pass(timeout + time.Minute)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestARepeatedAcceptOfAConversationThatWasPutAsideWritesNothing(t *testing.T) {
	w, r, _ := start(t)
	started := w.acceptedConversation()
	w.settle()
	w.do(w.twilio.Leave(started.ConversationSID))
	written, looked := len(w.twilio.Writes()), len(w.twilio.Journal())
	w.deliverAllAgain(acceptEvent, r)
	w.Eventually(func() []string { return about(w, looked, started) }).ShouldNot(gomega.BeEmpty(), "the operator looks")
	w.pass(time.Minute)
	w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty())
}

func TestAForgedCallbackChangesNothing(t *testing.T) {
	w, r, _ := start(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	before := len(w.twilio.Journal())
	for name, signature := range map[string]string{"unsigned": "", "wrongly signed": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		address := r.publicURL.String() + "/v1/taskrouter/" + started.WorkspaceSID
		form := url.Values{"EventType": {acceptEvent}, "WorkspaceSid": {started.WorkspaceSID}, "AccountSid": {w.twilio.AccountSID()},
			"TaskSid": {started.TaskSID}, "TaskAttributes": {`{"conversationSid":"` + started.ConversationSID + `"}`}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
		w.do(err)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if signature != "" {
			request.Header.Set("X-Twilio-Signature", signature)
		}
		response, err := http.DefaultClient.Do(request)
		w.do(err)
		w.do(response.Body.Close())
		w.Expect(response.StatusCode).To(gomega.Equal(http.StatusForbidden), name)
	}
	// What was accepted for real afterwards is seen, so the operator is at work; of the forged ones nothing is.
	control := w.conversation(w.twilio.StartConversation("sms", "+15005550009", "Hi"))
	w.accept(control)
	w.eventuallyArmed(control)
	w.Expect(about(w, before, started)).NotTo(gomega.ContainElement(gomega.ContainSubstring(started.ConversationSID)))
}

func TestAnEndingUnderWayIsFinishedWhenTheOperatorIsToldToStop(t *testing.T) {
	w, r, _ := start(t)
	started := w.acceptedConversation()
	var once sync.Once
	stopped := make(chan struct{})
	interrupt := func(request *http.Request, form url.Values) bool {
		if noticeWrite.is(request, form) {
			once.Do(func() { go func() { r.stop(); close(stopped) }() })
		}
		return true
	}
	w.onRequest.Store(&interrupt)
	w.pass(timeout)
	w.Eventually(stopped).Should(gomega.BeClosed())
	w.Expect(w.seen(started).State).To(gomega.Equal("closed"))
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestAWorkspaceThatTwilioGivesNoAnswerAboutKeepsNoOtherFromBeingSwept(t *testing.T) {
	w := newWorld(t)
	workspaces := []string{w.twilio.WorkspaceSID(), w.twilio.AddWorkspace("Second")}
	slices.Sort(workspaces)
	hanging, other := workspaces[0], workspaces[1] // they are swept in this order
	w.startOperator()
	w.createSecret()
	for i, sid := range workspaces {
		policy := w.policy(fmt.Sprintf("policy-%d", i), func(spec *v1alpha1.InactivityPolicySpec) {
			spec.Workspace = v1alpha1.WorkspaceReference{SID: sid}
		})
		w.create(policy)
		w.eventuallyReady(policy)
	}
	w.loseCallbacks.Store(true)
	started := w.conversation(w.twilio.StartConversationWith(twiliosim.Start{WorkspaceSID: other, Channel: "sms", From: customer, Body: "Hello?"}))
	w.accept(started)
	w.settle()

	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hang := func(r *http.Request, _ url.Values) bool {
		if strings.HasPrefix(r.URL.Path, "/v1/Workspaces/"+hanging+"/Tasks") {
			<-release
		}
		return true
	}
	w.onRequest.Store(&hang)
	w.pass(sweepEvery)
	w.eventuallyArmed(started)
}
