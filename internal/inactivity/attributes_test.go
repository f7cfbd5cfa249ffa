package inactivity

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

func TestParseTaskAttributes(t *testing.T) {
	for sentence, test := range map[string]struct {
		raw  string
		want TaskAttributes
	}{
		"a Flex task names conversation, channel and customer": {
			`{"conversationSid":"CH1","flexInteractionSid":"KD1","flexInteractionChannelSid":"UO1","customerAddress":"+1555","from":"+1555"}`,
			TaskAttributes{ConversationSID: "CH1", Channel: channel, CustomerAddresses: []string{"+1555", "+1555"}}},
		"a task that was not made by interactions has no channel": {`{"conversationSid":"CH1"}`, TaskAttributes{ConversationSID: "CH1"}},
		"half of a channel's name is none":                        {`{"flexInteractionSid":"KD1"}`, TaskAttributes{}},
		"a voice task has no conversation":                        {`{"call_sid":"CA1"}`, TaskAttributes{}},
		"absent attributes are empty":                             {``, TaskAttributes{}},
		"null attributes are empty":                               {`null`, TaskAttributes{}},
		"values of another type count as absent":                  {`{"conversationSid":7,"from":["a"],"inactivityPolicy":"mine"}`, TaskAttributes{}},
		"the operator's entry is read": {
			`{"inactivityPolicy":{"policy":"a/b","step":"notice","episode":"IM1","at":"2026-03-02T09:00:00Z","idleSeconds":900}}`,
			TaskAttributes{Claim: &Claim{Policy: "a/b", Step: StepNotice, Episode: "IM1", At: at(0), IdleSeconds: 900}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := ParseTaskAttributes(test.raw)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Raw = test.raw
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(TaskAttributes{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, raw := range []string{`[]`, `"text"`, `{"a":`, `7`} {
		if _, err := ParseTaskAttributes(raw); err == nil {
			t.Errorf("ParseTaskAttributes(%s) is no error", raw)
		}
	}
}

func TestAClaimKeepsEveryOtherKeyAsItWas(t *testing.T) {
	raw := `{"name":"A & B <c>","big":12345678901234567890,"float":1.10,"nested":{"b":1,"a":[null,true]},"inactivityPolicy":{"step":"old"}}`
	attributes, err := ParseTaskAttributes(raw)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := attributes.WithClaim(Claim{Policy: "a/b", Step: StepNotice, Episode: "IM1", At: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(merged), &after); err != nil {
		t.Fatal(err)
	}
	delete(before, AttributeKey)
	delete(after, AttributeKey)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("other keys (-before +after):\n%s", diff)
	}
	again, err := ParseTaskAttributes(merged)
	if err != nil {
		t.Fatal(err)
	}
	if again.Claim == nil || again.Claim.Episode != "IM1" || !again.Claim.At.Equal(at(0)) {
		t.Errorf("the claim reads back as %+v", again.Claim)
	}
}

func TestAClaimNeverMakesAttributesTooLong(t *testing.T) {
	claim := Claim{Policy: "a/b", Step: StepNotice, Episode: "IM1", At: at(0)}
	empty, err := TaskAttributes{Raw: `{"k":""}`}.WithClaim(claim)
	if err != nil {
		t.Fatal(err)
	}
	room := MaxTaskAttributes - len(empty)
	// Characters count, not bytes.
	full, err := TaskAttributes{Raw: `{"k":"` + strings.Repeat("é", room) + `"}`}.WithClaim(claim)
	if err != nil || len([]rune(full)) != MaxTaskAttributes {
		t.Errorf("attributes that just fit: %d characters, error %v", len([]rune(full)), err)
	}
	if _, err := (TaskAttributes{Raw: `{"k":"` + strings.Repeat("é", room+1) + `"}`}).WithClaim(claim); !errors.Is(err, ErrNoRoom) {
		t.Errorf("one character too many: error %v, want ErrNoRoom", err)
	}
}

func TestOnlyStringsNumbersAndTruthValuesCanStandInAText(t *testing.T) {
	attributes := TaskAttributes{Raw: `{"string":"A-17","number":1.50,"yes":true,"no":false,"null":null,"list":["a"],"object":{"a":"b"},"empty":""}`}
	want := map[string]string{"string": "A-17", "number": "1.50", "yes": "true", "no": "false", "empty": ""}
	if diff := cmp.Diff(want, attributes.Texts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyTheLatestRefusalsAreKept(t *testing.T) {
	var claim Claim
	var want []EpisodeText
	for i := range maxRefused + 2 {
		claim.Step, claim.Episode, claim.BeforeSeconds = StepWarning, "IM1", int64(i)
		claim = claim.WithRefusal()
		want = append(want, claim.text())
	}
	if diff := cmp.Diff(want[2:], claim.Refused); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A conversation's tasks are listed in any order. A hold that seemed to have come or gone would cost a look each time.
func TestHeldByTasksIsTheSameInAnyOrder(t *testing.T) {
	policy := swept(holdable)
	first, second := task("WT1", TaskAssigned, attributes(`{"hold":true}`)), task("WT2", TaskAssigned, attributes(`{"hold":false}`))
	if a, b := policy.HeldByTasks([]Task{first, second}), policy.HeldByTasks([]Task{second, first}); a != b {
		t.Errorf("%q, and %q in the other order", a, b)
	}
}

func TestAMarkerReadsBack(t *testing.T) {
	marker := Marker{Policy: "a/b", Step: StepNotice, Episode: "IM1", IdleSince: at(1), Action: v1alpha1.ActionWrapUp}
	raw, err := marker.Attributes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&marker, ParseMarker(raw)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, raw := range []string{``, `{}`, `[]`, `{"inactivityPolicy":7}`, `{"inactivityPolicy":{"step":"notice"}}`} {
		if got := ParseMarker(raw); got != nil {
			t.Errorf("ParseMarker(%s) = %+v, want none", raw, got)
		}
	}
}

func TestISO8601(t *testing.T) {
	for length, want := range map[time.Duration]string{
		0: "PT0S", time.Minute: "PT1M", 90 * time.Second: "PT1M30S", 15 * time.Minute: "PT15M", time.Hour: "PT1H",
		90 * time.Minute: "PT1H30M", 24 * time.Hour: "PT24H", time.Minute + 500*time.Millisecond: "PT1M",
	} {
		if got := ISO8601(length); got != want {
			t.Errorf("ISO8601(%s) = %s, want %s", length, got, want)
		}
	}
}

func TestTimerFor(t *testing.T) {
	for sentence, test := range map[string]struct{ left, timeout, want time.Duration }{
		"a moment after the accept it is the timeout as written": {timeout - 200*time.Millisecond, timeout, timeout},
		"also when the timeout is an odd number of seconds":      {61*time.Second - 1, 61 * time.Second, 61 * time.Second},
		"what is left is rounded up":                             {10*time.Minute + time.Millisecond, timeout, 10*time.Minute + timerGrain},
		"whole grains stay":                                      {10 * time.Minute, timeout, 10 * time.Minute},
		"Twilio's shortest timer is kept":                        {time.Second, timeout, MinTimer},
	} {
		if got := timerFor(test.left, test.timeout); got != test.want {
			t.Errorf("%s: timerFor(%s, %s) = %s, want %s", sentence, test.left, test.timeout, got, test.want)
		}
	}
}

func TestAnAddressIsNoName(t *testing.T) {
	for attributes, want := range map[string]string{
		`{"customerName":"Ada Lovelace","customerAddress":"+15550100"}`:       "Ada Lovelace",
		`{"customerName":" Ada ","from":"whatsapp:+15550100"}`:                "Ada",
		`{"customerName":"+15550100","customerAddress":"+15550100"}`:          "",
		`{"customerName":"+15550100","customerAddress":"whatsapp:+15550100"}`: "",
		`{"customerName":"messenger:77","from":"messenger:77"}`:               "",
		`{"customerName":"77","from":"messenger:77"}`:                         "",
		`{"customerName":"+15550100"}`:                                        "",
		`{"customerName":"+1"}`:                                               "+1",
		`{"customerName":7}`:                                                  "",
		`{}`:                                                                  "",
	} {
		parsed, err := ParseTaskAttributes(attributes)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.CustomerName(); got != want {
			t.Errorf("%s: the name is %q, want %q", attributes, got, want)
		}
	}
}
