package simulation

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	twilioclient "github.com/twilio/twilio-go/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// What is promised to whoever a workspace called before (docs/reliability.md).
const (
	// forwardPatience is how long after it came an event is tried, and longestPause the longest time between two tries.
	forwardPatience = 2 * time.Minute
	longestPause    = 15 * time.Second

	// longestTry is how long the other party may take to answer.
	longestTry = 15 * time.Second

	// unrepeated is how long an event that Twilio sends again is not passed on again, at least.
	unrepeated = 5 * time.Minute
)

// event is an event of TaskRouter's as one replica knows it.
type event struct {
	replica                    *replica
	workspace, sid, task, kind string
	body                       string
	header                     http.Header
	token                      string // that Twilio has signed it with
	// came is whenever Twilio sent it to this replica, and answered when the first of these was answered below 300.
	came     []coming
	answered time.Time
	// owed is the URL that it has to go to; empty: none, or none that can be told for sure.
	owed string
	// to is where it went, tries how often, and ended how often it came to an end there: it was taken, or refused.
	to                     string
	tries, underWay, ended int
	// tried is when the last try ended.
	tried time.Time
}

// coming is when an event came, and where it may go on to then.
type coming struct {
	at time.Time
	to []string
}

// record is the annotation on a policy that says what a workspace called before.
type record struct {
	WorkspaceSID string `json:"workspaceSid"`
	URL          string `json:"url"`
	Filter       string `json:"filter"`
	Forward      bool   `json:"forward"`
}

// wants says whether events of a kind are to go on to what is recorded. An empty filter lets all of them pass.
func (r record) wants(kind string) bool {
	return r.Forward && r.URL != "" && setting{r.URL, r.Filter}.passes(kind)
}

func (s setting) passes(kind string) bool {
	names := strings.Split(strings.ReplaceAll(s.filter, " ", ""), ",")
	return s.filter == "" || slices.Contains(names, kind)
}

// recordsIn are the records of a workspace on the policies that are believed about it: those whose status says that it is
// theirs.
func recordsIn(policies []*v1alpha1.InactivityPolicy, workspace string) []record {
	var found []record
	for _, policy := range policies {
		var one record
		text, recorded := policy.Annotations[v1alpha1.AnnotationPreviousCallback]
		if observed := policy.Status.Workspace; !recorded || observed == nil || observed.SID != workspace {
			continue
		}
		if json.Unmarshal([]byte(text), &one) == nil && one.WorkspaceSID == workspace {
			found = append(found, one)
		}
	}
	return found
}

// targets are where an event that comes now may go on to, by what a replica may know of the records, and where it has to:
// nowhere, unless all records that it may know say the same. The caller holds the state.
func (c *checker) targets(workspace, kind string) (may []string, owed string) {
	sure := true
	for _, then := range c.recent() {
		records := recordsIn(then.policies, workspace)
		sure = sure && len(records) > 0
		for _, one := range records {
			if !one.wants(kind) {
				sure = false
			} else if !slices.Contains(may, one.URL) {
				may = append(may, one.URL)
			}
		}
	}
	if sure && len(may) == 1 {
		owed = may[0]
	}
	return may, owed
}

// arrival is a callback that a replica has not answered yet.
type arrival struct {
	at    time.Time
	event *event // nil if it is none of TaskRouter's
}

// comes takes note of a callback that is about to come to a replica.
func (c *checker) comes(r *replica, request *http.Request, body []byte) arrival {
	came := arrival{at: time.Now()}
	workspace, ofTaskRouter := strings.CutPrefix(request.URL.Path, "/v1/taskrouter/")
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return came
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hears(r, form)
	if !ofTaskRouter {
		return came
	}
	key := r.name + " " + form.Get("Sid")
	one, known := c.events[key]
	if !known {
		one = &event{
			replica: r, workspace: workspace, sid: form.Get("Sid"), task: form.Get("TaskSid"), kind: form.Get("EventType"),
			body: string(body), header: request.Header.Clone(),
		}
		for _, token := range c.w.tokens() {
			if signs(token, request.URL.String(), form, request.Header) {
				one.token = token
			}
		}
		c.events[key] = one
	}
	may, owed := c.targets(workspace, one.kind)
	if !known {
		one.owed = owed
	}
	one.came = append(one.came, coming{came.at, may})
	came.event = one
	return came
}

// tokens are those that Twilio may have signed a callback with.
func (w *world) tokens() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.signed)
}

// signs says whether a token has signed a request, by Twilio's own library.
func signs(token, address string, form url.Values, header http.Header) bool {
	flat := map[string]string{}
	for name := range form {
		flat[name] = form.Get(name)
	}
	validator := twilioclient.NewRequestValidator(token)
	return validator.Validate(address, flat, header.Get("X-Twilio-Signature"))
}

// cameAndWent judges how a callback was answered: at once, however the other party is. An event that has to go on is looked
// for when its time is over.
func (c *checker) cameAndWent(came arrival, status int) {
	if took := time.Since(came.at); took > 0 {
		c.w.wrong("F4: a callback is answered after %s", took)
	}
	one := came.event
	if one == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch first := len(one.came) == 1; {
	case status < 300 && one.answered.IsZero():
		one.answered = time.Now()
		if !first {
			one.owed = "" // what became of the one that was not answered so cannot be told
		}
	case first:
		one.owed = ""
	}
	if len(one.came) > 1 || one.owed == "" {
		return
	}
	c.w.tally.count("events owed to others", 1)
	time.AfterFunc(forwardPatience+longestTry+time.Second, func() { c.isForwarded(one) })
}

// forwards judges a try to forward an event as it begins.
func (c *checker) forwards(r *replica, request *http.Request, body []byte) *event {
	form, err := url.ParseQuery(string(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	one, to := c.events[r.name+" "+form.Get("Sid")], request.URL.String()
	if err != nil || one == nil || one.body != string(body) || request.Method != http.MethodPost {
		c.w.wrong("F1: %s sends %s %q to %s, which did not come so", r.name, request.Method, body, to)
		return &event{}
	}
	wrong := func(format string, args ...any) {
		c.w.wrong("F1: %s forwards %s (%s) of %s to %s: "+format, append([]any{r.name, one.sid, one.kind, one.workspace, to}, args...)...)
	}
	wasPut := func(earlier setting) bool { return earlier.url == to && earlier.passes(one.kind) }
	recently := func(came coming) bool {
		return time.Since(came.at) <= forwardPatience && slices.Contains(came.to, to)
	}
	switch {
	case !slices.ContainsFunc(c.slots[one.workspace].put, wasPut):
		wrong("nobody has asked for that there")
	case !slices.ContainsFunc(one.came, recently):
		wrong("no policy says so, or not in the last two minutes: %+v", one.came)
	case one.ended >= one.intakes():
		wrong("it came to its end there already")
	case one.token == "" || !signs(one.token, to, form, request.Header):
		wrong("the signature is not valid")
	}
	for _, name := range []string{"Content-Type", "User-Agent", "I-Twilio-Idempotency-Token"} {
		if was, is := one.header.Get(name), request.Header.Get(name); was != is {
			wrong("%s is %q and was %q", name, is, was)
		}
	}
	c.inOrder(one, to)
	one.to = to
	one.tries++
	one.underWay++
	return one
}

// intakes is how often the event may have been taken to be passed on: once, unless it came again much later.
func (e *event) intakes() int {
	taken := 0
	var last time.Time
	for _, came := range e.came {
		if taken == 0 || came.at.Sub(last) >= unrepeated {
			taken, last = taken+1, came.at
		}
	}
	return taken
}

// inOrder judges whether an event of a task may be tried: not before the one before it has come to its end, or was given up.
// Events that came more than once are not judged: which of their comings counts cannot be told. The caller holds the state.
func (c *checker) inOrder(one *event, to string) {
	for _, key := range slices.Sorted(maps.Keys(c.events)) {
		earlier := c.events[key]
		if earlier.replica != one.replica || earlier.task != one.task || one.task == "" || earlier == one ||
			len(earlier.came) != 1 || len(one.came) != 1 || earlier.answered.IsZero() || !earlier.answered.Before(one.came[0].at) {
			continue
		}
		theirs := earlier.to == to || earlier.to == "" && earlier.owed == to
		waits := earlier.ended == 0 && time.Since(earlier.came[0].at) < forwardPatience-longestPause
		if theirs && (waits || earlier.underWay > 0) {
			c.w.wrong("F3: %s tries %s (%s), and %s (%s) of the same task came before and waits", one.replica.name, one.sid, one.kind, earlier.sid, earlier.kind)
		}
	}
}

// forwarded takes note of how a try has ended; status 0: without an answer.
func (c *checker) forwarded(one *event, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one.underWay--
	one.tried = time.Now()
	if status == 0 || status == http.StatusTooManyRequests || status >= 500 {
		c.w.tally.count("forwardings that failed", 1)
	} else {
		one.ended++
		c.w.tally.count("events forwarded", 1)
	}
	c.w.tell("%s forwards %s (%s) to %s: %d", one.replica.name, one.sid, one.kind, one.to, status)
}

// isForwarded checks, when the time of an event is over that has to go on, that it has come to its end, or was tried for as
// long as is promised. What is left of a replica that has ended is not judged.
func (c *checker) isForwarded(one *event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := one.replica
	if one.ended > 0 || r.crashed() || r.ctx.Err() != nil || c.w.isOver() {
		return
	}
	// Given up it may be when the other party failed at it until so late that the next try would have come too late. One that
	// was not tried may have waited for others of its task, or for its turn, as long as those failed.
	// One that stood still since then has tried nothing.
	late, over := one.came[0].at.Add(forwardPatience-longestPause), one.came[0].at.Add(forwardPatience)
	if frozen := r.frozen.Load(); frozen != nil && frozen.from.Before(over) && frozen.to.After(late) {
		return
	}
	for _, other := range c.events {
		if tried := other.replica == r && other.to == one.owed && !other.tried.Before(late); tried && (other == one || one.tries == 0) {
			return
		}
	}
	c.w.wrong("F2: %s took %s (%s) of %s at %s, and has not forwarded it to %s: %d tries, the last at %s", r.name, one.sid, one.kind, one.workspace,
		one.came[0].at.UTC().Format(time.TimeOnly), one.owed, one.tries, one.tried.UTC().Format(time.TimeOnly))
}

// filterIsAsWanted checks, when everything has settled, that a workspace that calls the operator does so for the events that
// the operator needs and for those that are owed to others, and that these are owed where a policy says so: one of those that
// manage callbacks, whether or not it acts. Where all refuse, it is as it was.
func (c *checker) filterIsAsWanted(workspace string, now setting, policies []*v1alpha1.InactivityPolicy) {
	forwards, replaces := says(policies, workspace)
	records := recordsIn(policies, workspace)
	for _, one := range records {
		if one.Forward != forwards && (forwards || replaces) {
			c.w.wrong("F2: the record of workspace %s is %+v; a policy says Forward: %t", workspace, one, forwards)
		}
	}
	needed := []string{accepted}
	if to := slices.IndexFunc(records, func(one record) bool { return one.Forward && one.URL != "" }); to >= 0 {
		if records[to].Filter == "" {
			// An empty filter lets all events pass, also those that the operator needs. With a name in it, it would not.
			if now.filter != "" {
				c.w.wrong("F2: workspace %s has %+v, and all events are owed to others", workspace, now)
			}
			return
		}
		needed = append(needed, strings.Split(strings.ReplaceAll(records[to].Filter, " ", ""), ",")...)
	}
	for _, kind := range needed {
		if now.filter == "" || !now.passes(kind) {
			c.w.wrong("I6: workspace %s has %+v, and %s is wanted: %+v", workspace, now, kind, records)
		}
	}
}

// managesCallback says whether a policy has a say in what the workspace calls: one that only observes has none.
func managesCallback(policy *v1alpha1.InactivityPolicy) bool {
	return policy.Spec.Mode != v1alpha1.ModeObserve && (policy.Spec.Callback == nil || policy.Spec.Callback.Mode != v1alpha1.CallbackDisabled)
}
