package twiliosim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// template is the SID of a content template.
const template = "HX0123456789abcdef0123456789abcdef"

func TestContentTemplates(t *testing.T) {
	sid := "ContentSid=" + template
	for name, tc := range map[string]struct {
		pairs  []string
		status int
		code   int
	}{
		"a template with its own defaults":         {[]string{sid}, 201, 0},
		"a template with variables":                {[]string{sid, `ContentVariables={"1":"Ann","code":"4711"}`}, 201, 0},
		"a template with no variables":             {[]string{sid, `ContentVariables={}`}, 201, 0},
		"capital digits":                           {[]string{"ContentSid=HX" + strings.ToUpper(template[2:])}, 201, 0},
		"a body beside it is ignored":              {[]string{sid, "Body=Hello"}, 201, 0},
		"a value with an apostrophe":               {[]string{sid, `ContentVariables={"1":"Ann's"}`}, 201, 0},
		"a value with four spaces":                 {[]string{sid, `ContentVariables={"1":"a    b"}`}, 201, 0},
		"a SID that is too short":                  {[]string{"ContentSid=HX1"}, 400, 50526},
		"a SID of something else":                  {[]string{"ContentSid=IM" + template[2:]}, 400, 50526},
		"a SID with more behind it":                {[]string{sid + "0"}, 400, 50526},
		"variables that are no JSON":               {[]string{sid, `ContentVariables={"1":`}, 400, 50527},
		"variables that are a list":                {[]string{sid, `ContentVariables=["Ann"]`}, 400, 50527},
		"variables that are null":                  {[]string{sid, `ContentVariables=null`}, 400, 50527},
		"a value that is a number":                 {[]string{sid, `ContentVariables={"1":5}`}, 400, 50527},
		"a value that is null":                     {[]string{sid, `ContentVariables={"1":null}`}, 400, 50527},
		"a value that is empty":                    {[]string{sid, `ContentVariables={"1":""}`}, 400, 50527},
		"a value with a line break":                {[]string{sid, `ContentVariables={"1":"a\nb"}`}, 400, 50527},
		"a value with a tab":                       {[]string{sid, `ContentVariables={"1":"a\tb"}`}, 400, 50527},
		"a value with five spaces":                 {[]string{sid, `ContentVariables={"1":"a     b"}`}, 400, 50527},
		"variables without a template":             {[]string{`ContentVariables={"1":"Ann"}`}, 400, 50528},
		"variables without a template, but a body": {[]string{"Body=x", `ContentVariables={"1":"Ann"}`}, 400, 50528},
		"an empty SID is none":                     {[]string{"ContentSid=", "Body=x"}, 201, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, err := w.StartConversation("whatsapp", "+15005550001", "Hello")
			w.ok(err)
			a := w.post(conversationPath(s)+"/Messages", tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			if n := len(w.seen(s).Messages); (n == 2) != (tc.status == 201) {
				t.Errorf("%d messages", n)
			}
		})
	}
	t.Run("the answer and the snapshot show what was sent", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartConversation("whatsapp", "+15005550001", "Hello")
		w.ok(err)
		a := w.must(conversationPath(s)+"/Messages", "ContentSid="+template, `ContentVariables={"1":"Ann"}`, "Body=ignored", `Attributes={"m":1}`, "Author=Support")
		if a.text("content_sid") != template || a.body["body"] != nil || a.body["participant_sid"] != nil {
			t.Errorf("answer %v", a.body)
		}
		got := w.seen(s).Messages[1]
		want := MessageState{
			SID: a.text("sid"), Index: 1, Author: "Support", ContentSID: template, ContentVariables: `{"1":"Ann"}`,
			Attributes: `{"m":1}`, Created: start, Delivered: true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReplyWindow(t *testing.T) {
	const day = 24 * time.Hour
	text := func(w *world, s Started) { w.must(conversationPath(s)+"/Messages", "Body=Are you there?") }
	for name, tc := range map[string]struct {
		channel string
		after   time.Duration // the customer's last message
		write   func(w *world, s Started)
		code    int
	}{
		"a text by WhatsApp within a day":           {"whatsapp", day - time.Nanosecond, text, 0},
		"a text by WhatsApp after a day":            {"whatsapp", day, text, 63016},
		"a text by Messenger within a day":          {"messenger", day - time.Nanosecond, text, 0},
		"a text by Messenger after a day":           {"messenger", day, text, 63016},
		"a text by SMS after a day":                 {"sms", 3 * day, text, 0},
		"a text on web chat after a day":            {"web", 3 * day, text, 0},
		"a template by WhatsApp after a day":        {"whatsapp", 3 * day, func(w *world, s Started) { w.must(conversationPath(s)+"/Messages", "ContentSid="+template) }, 0},
		"a picture by WhatsApp after a day":         {"whatsapp", day, func(w *world, s Started) { w.must(conversationPath(s)+"/Messages", "MediaSid=ME1") }, 63016},
		"a program's text by WhatsApp after a day":  {"whatsapp", day, func(w *world, s Started) { _, err := w.Post(s.ConversationSID, "bot", "x"); w.ok(err) }, 63016},
		"an agent's text by WhatsApp after a day":   {"whatsapp", day, func(w *world, s Started) { w.ok(w.Say(s.ConversationSID, Agent, "x")) }, 63016},
		"the customer's own by WhatsApp after days": {"whatsapp", 3 * day, func(w *world, s Started) { w.ok(w.Say(s.ConversationSID, Customer, "x")) }, 0},
		"a text after the customer wrote again": {"whatsapp", 3 * day, func(w *world, s Started) {
			w.ok(w.Say(s.ConversationSID, Customer, "x"))
			text(w, s)
		}, 0},
		"a text after an agent wrote": {"whatsapp", day, func(w *world, s Started) {
			w.ok(w.Say(s.ConversationSID, Agent, "x"))
			text(w, s)
		}, 63016},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, err := w.StartConversation(tc.channel, "+15005550001", "Hello")
			w.ok(err)
			w.ok(w.Accept(s.ReservationSID))
			w.step(tc.after)
			tc.write(w, s)
			messages := w.seen(s).Messages
			got := messages[len(messages)-1]
			if got.ErrorCode != tc.code || got.Delivered != (tc.code == 0) {
				t.Errorf("delivered %t, code %d, want %d", got.Delivered, got.ErrorCode, tc.code)
			}
		})
	}
	t.Run("a customer who has never written has no window", func(t *testing.T) {
		w := newWorld(t)
		s := w.begin(Start{Channel: "whatsapp", From: "+1", Body: "Hello", Outbound: true})
		if got := w.seen(s).Messages[0]; got.Delivered || got.ErrorCode != 63016 {
			t.Errorf("message %+v", got)
		}
	})
	t.Run("in a group, one customer's silence does not keep another's text from the rest", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartConversation("whatsapp", "+1", "Hello")
		w.ok(err)
		w.must(conversationPath(s)+"/Participants", "MessagingBinding.Address=whatsapp:+2", "MessagingBinding.ProxyAddress=whatsapp:+15005550006")
		w.must(conversationPath(s)+"/Messages", "Author=whatsapp:+2", "Body=I am here too")
		if got := w.seen(s).Messages[1]; got.ErrorCode != 0 || got.ParticipantSID == "" {
			t.Errorf("message %+v", got)
		}
		w.step(day - time.Second)
		w.ok(w.Say(s.ConversationSID, Customer, "And I"))
		w.step(time.Second)
		w.must(conversationPath(s)+"/Messages", "Body=Bye")
		if got := w.seen(s).Messages[3]; got.ErrorCode != 63016 {
			t.Errorf("a text that reaches one of two is shown as %+v", got)
		}
	})
	t.Run("who created it learns of it later", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartConversation("whatsapp", "+1", "Hello")
		w.ok(err)
		w.step(day)
		none := map[string]any{"total": 1.0, "sent": "all", "delivered": "none", "read": "none", "failed": "none", "undelivered": "none"}
		a := w.must(conversationPath(s)+"/Messages", "Body=Bye")
		if diff := cmp.Diff(none, a.body["delivery"]); a.status != 201 || diff != "" {
			t.Errorf("status %d, %s", a.status, diff)
		}
		none["failed"] = "all"
		if diff := cmp.Diff(none, w.get(conversationPath(s) + "/Messages/" + a.text("sid")).body["delivery"]); diff != "" {
			t.Errorf("later: %s", diff)
		}
		sent := w.must(conversationPath(s)+"/Messages", "ContentSid="+template)
		none["failed"], none["delivered"] = "none", "all"
		if diff := cmp.Diff(none, w.get(conversationPath(s) + "/Messages/" + sent.text("sid")).body["delivery"]); diff != "" {
			t.Errorf("a template: %s", diff)
		}
		inbound := w.get(conversationPath(s) + "/Messages").items("messages")[0]
		if inbound["delivery"] != nil {
			t.Errorf("the customer's own: %v", inbound["delivery"])
		}
	})
}
