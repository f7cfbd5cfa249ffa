package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// nobodys is the SID of a conversation that there is not.
var nobodys = "CH" + strings.Repeat("0", 32)

// tooLarge is more than the receiver reads of a body (docs/callbacks.md).
const tooLarge = 70 << 10

// forgery is a callback in the making that Twilio has not sent.
type forgery struct {
	path, host, signature string
	form                  url.Values
}

// sign signs the callback as Twilio would, with a token, for an address.
func (f *forgery) sign(token, base string) {
	f.signature = twiliosim.Signature(token, base+f.path, f.form)
}

// forgeries are the ways to forge a callback. All that is wrong with each is what its name says.
var forgeries = []struct {
	name  string
	forge func(w *world, f *forgery)
}{
	{"that is not signed", func(*world, *forgery) {}},
	{"that is signed with another token", func(w *world, f *forgery) {
		f.sign(strings.Repeat("0", len(w.twilio.AuthToken())), w.publicURL.String())
	}},
	{"with the signature of another callback", func(w *world, f *forgery) {
		own := f.form
		f.form = maps.Clone(own)
		f.form.Set("AccountName", "another")
		f.sign(w.twilio.AuthToken(), w.publicURL.String())
		f.form = own
	}},
	{"that is signed for another address", func(w *world, f *forgery) {
		f.host = "elsewhere.example.com"
		f.sign(w.twilio.AuthToken(), "https://"+f.host)
	}},
	{"of another account", func(w *world, f *forgery) {
		f.form.Set("AccountSid", "AC"+strings.Repeat("0", 32))
		f.sign(w.twilio.AuthToken(), w.publicURL.String())
	}},
	{"that is too large", func(w *world, f *forgery) {
		f.form.Set("Padding", strings.Repeat("x", tooLarge))
		f.sign(w.twilio.AuthToken(), w.publicURL.String())
	}},
}

// forge has strangers send callbacks.
func (w *world) forge(draw *rand.Rand) {
	for i := 0; ; i++ {
		time.Sleep(between(draw, 10*time.Minute, 3*time.Hour))
		if w.isCalm() {
			return
		}
		if part := fmt.Sprintf("forgeries %d", i); w.plays(part) {
			w.intrude(w.dice.roll(part))
		}
	}
}

// intrude has a stranger send one of each kind of forged callbacks, one after the other, to a replica.
func (w *world) intrude(draw *rand.Rand) {
	r, sid := w.victim(draw)
	if r == nil {
		return
	}
	for _, i := range draw.Perm(len(forgeries)) {
		kind := forgeries[i]
		f := &forgery{host: w.publicURL.Host}
		f.path, f.form = w.plausible(draw, sid)
		kind.forge(w, f)
		if r.serves() {
			w.tell("a stranger sends %s a callback %s about %s", r.name, kind.name, sid)
			w.tally.count("forged callbacks", 1)
			w.send(r, kind.name, f)
		}
		time.Sleep(between(draw, time.Millisecond, 10*time.Second))
	}
}

// victim is a replica that serves, and a conversation: if there is such a pair, one of which Twilio has not told the replica,
// so that it can be seen whether a forgery has. Otherwise any, or a conversation that there is not.
func (w *world) victim(draw *rand.Rand) (*replica, string) {
	serving := slices.DeleteFunc(w.alive(), func(r *replica) bool { return !r.serves() })
	if len(serving) == 0 {
		return nil, ""
	}
	w.mu.Lock()
	sids := slices.Sorted(maps.Keys(w.talks))
	w.mu.Unlock()
	sids = slices.DeleteFunc(sids, func(sid string) bool {
		seen, _ := w.checker.look(sid)
		return seen.State == "closed"
	})
	r, sid := oneOf(draw, serving...), oneOf(draw, append(sids, nobodys)...)
	type pair struct {
		replica *replica
		sid     string
	}
	var unaware []pair
	for _, one := range serving {
		for _, sid := range sids {
			if !w.checker.mayAsk(one, sid) {
				unaware = append(unaware, pair{one, sid})
			}
		}
	}
	if len(unaware) > 0 {
		chosen := oneOf(draw, unaware...)
		r, sid = chosen.replica, chosen.sid
	}
	return r, sid
}

// plausible is what Twilio might send about a conversation: that its timer has run out, or that an agent has accepted it.
func (w *world) plausible(draw *rand.Rand, sid string) (path string, form url.Values) {
	_, tasks := w.checker.look(sid)
	form = url.Values{"AccountSid": {w.twilio.AccountSID()}}
	if len(tasks) == 0 || chance(draw, 0.5) {
		maps.Copy(form, url.Values{
			"EventType": {"onConversationStateUpdated"}, "ConversationSid": {sid}, "StateFrom": {"active"}, "StateTo": {"inactive"}, "Reason": {"TIMER"},
		})
		workspace := w.twilio.WorkspaceSID()
		if len(tasks) > 0 {
			workspace = tasks[0].WorkspaceSID
		}
		return "/v1/conversations/" + workspace, form
	}
	task := tasks[len(tasks)-1]
	maps.Copy(form, url.Values{
		"EventType": {"reservation.accepted"}, "WorkspaceSid": {task.WorkspaceSID}, "Sid": {fmt.Sprintf("EV%032x", draw.Uint64())},
		"TimestampMs": {strconv.FormatInt(time.Now().UnixMilli(), 10)},
		"TaskSid":     {task.SID}, "TaskAttributes": {task.Attributes}, "TaskAssignmentStatus": {task.Status}, "TaskAge": {"60"},
		"TaskPriority": {strconv.Itoa(task.Priority)}, "TaskQueueSid": {task.QueueSID}, "TaskQueueName": {task.Queue},
		"ReservationSid": {fmt.Sprintf("WR%032x", draw.Uint64())},
	})
	return "/v1/taskrouter/" + task.WorkspaceSID, form
}

// send hands a forged callback to a replica, which has to refuse it. That nothing follows from it is judged by what the
// replica asks Twilio for from then on.
func (w *world) send(r *replica, kind string, f *forgery) {
	request, err := http.NewRequest(http.MethodPost, w.publicURL.String()+f.path, strings.NewReader(f.form.Encode()))
	if err != nil {
		panic(err)
	}
	request.Host = f.host
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if f.signature != "" {
		request.Header.Set("X-Twilio-Signature", f.signature)
	}
	recorder := httptest.NewRecorder()
	r.receiver.ServeHTTP(recorder, request)
	if recorder.Code < 400 {
		w.wrong("I7: %s answers a callback %s with %d", r.name, kind, recorder.Code)
	}
}

// hears takes note of a conversation that a callback of Twilio's tells a replica of. The caller holds the state.
func (c *checker) hears(r *replica, form url.Values) {
	var attributes struct {
		ConversationSID string `json:"conversationSid"`
	}
	_ = json.Unmarshal([]byte(form.Get("TaskAttributes")), &attributes) // what is none tells of no conversation
	for _, sid := range []string{form.Get("ConversationSid"), attributes.ConversationSID} {
		if sid != "" {
			c.heard[r.name+sid] = true
		}
	}
}

// mayAsk says whether a replica may ask Twilio about a conversation: the one that leads, which sweeps, and those that Twilio has
// told of it, which try again until they succeed. Others could know of it only from a forged callback.
func (c *checker) mayAsk(r *replica, sid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-r.elected:
		return true
	default:
		return c.heard[r.name+sid]
	}
}
