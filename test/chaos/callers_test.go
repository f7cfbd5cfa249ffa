//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// Who else calls, beside Twilio.
const (
	sourceStranger = "a stranger"
	sourceReplay   = "a replay"
	sourceLoad     = "load"
)

const (
	signatureHeader = "X-Twilio-Signature"
	// forgedPrefix begins the SIDs that forged callbacks name: no conversation has such a one.
	forgedPrefix = "CHf0f0f0f0"
	// strangerPeriod is how often a stranger calls.
	strangerPeriod = 200 * time.Millisecond
	// tooLarge is more than the receiver reads of a body.
	tooLarge = 70 << 10
)

// send sends a callback through the balancer and returns the status of the answer; 0: there was none.
func (w *world) send(ctx context.Context, source string, c callback) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.balancer.url+c.path, bytes.NewReader(c.body))
	if err != nil {
		w.wrong("making a callback: %v", err)
		return 0
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set(sourceHeader, source)
	if c.signature != "" {
		request.Header.Set(signatureHeader, c.signature)
	}
	answer, err := callers.Do(request)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// callers keeps enough connections to the balancer that the load needs no new ones.
var callers = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 15 * time.Second}

// wakeUp is what Twilio sends when the timer of a conversation has fired.
func (w *world) wakeUp(conversationSID string) url.Values {
	return url.Values{
		"EventType": {"onConversationStateUpdated"}, "AccountSid": {w.twilio.AccountSID()}, "ConversationSid": {conversationSID},
		"StateFrom": {"active"}, "StateTo": {"inactive"}, "Reason": {"TIMER"}, "Source": {"API"},
	}
}

// signed is a callback to the conversations' endpoint, signed with a token.
func (w *world) signed(form url.Values, token string) callback {
	path := "/v1/conversations/" + w.twilio.WorkspaceSID()
	return callback{path, twiliosim.Signature(token, w.balancer.url+path, form), []byte(form.Encode())}
}

// forge is a callback that Twilio has not sent, in one of several ways, about a conversation that nobody else names.
func (w *world) forge(n int) callback {
	form := w.wakeUp(fmt.Sprintf("%s%024x", forgedPrefix, n))
	token := w.twilio.AuthToken()
	switch n % 6 {
	case 0: // not signed
		return callback{"/v1/conversations/" + w.twilio.WorkspaceSID(), "", []byte(form.Encode())}
	case 1: // signed with another token
		return w.signed(form, strings.Repeat("0", len(token)))
	case 2: // with the signature of another callback
		c := w.signed(w.wakeUp(forgedPrefix), token)
		c.body = []byte(form.Encode())
		return c
	case 3: // signed for another address
		c := w.signed(form, token)
		c.signature = twiliosim.Signature(token, "https://elsewhere.example.com"+c.path, form)
		return c
	case 4: // of another account
		form.Set("AccountSid", "AC"+strings.Repeat("0", 32))
		return w.signed(form, token)
	default: // too large, but signed
		form.Set("Padding", strings.Repeat("x", tooLarge))
		return w.signed(form, token)
	}
}

// estrange has a stranger call all the time, and replays callbacks of Twilio's.
func (w *world) estrange(ctx context.Context) {
	tick := time.NewTicker(strangerPeriod)
	defer tick.Stop()
	draw := roll(w.seed, "stranger")
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if status := w.send(ctx, sourceStranger, w.forge(n)); status >= 200 && status < 400 {
			w.wrong("I7: a forged callback (%d) is answered with %d", n%6, status)
		}
		if genuine := w.balancer.replays(); len(genuine) > 0 {
			w.send(ctx, sourceReplay, oneOf(draw, genuine...))
		}
	}
}

// load sends signed callbacks at a rate, open loop: however long the answers take. Most are of an event that nothing follows
// from; some wake conversations up that are there.
func (w *world) load(ctx context.Context, perSecond int, conversations []string) (sent int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	ignored := w.wakeUp("CH" + strings.Repeat("0", 32))
	ignored.Set("StateTo", "active")
	ignored.Set("Reason", "EVENT")
	var group sync.WaitGroup
	defer group.Wait()
	for begun := time.Now(); ; {
		select {
		case <-ctx.Done():
			return sent
		case <-tick.C:
		}
		// A ticker that is late leaves moments out; the load does not.
		for ; float64(sent) < time.Since(begun).Seconds()*float64(perSecond); sent++ {
			form := ignored
			if sent%wakeUpEvery == 0 && len(conversations) > 0 {
				form = w.wakeUp(conversations[sent/wakeUpEvery%len(conversations)])
			}
			c := w.signed(form, w.twilio.AuthToken())
			group.Go(func() {
				if status := w.send(context.WithoutCancel(ctx), sourceLoad, c); status != http.StatusNoContent {
					w.wrong("a callback is answered with %d during a rolling restart", status)
				}
			})
		}
	}
}

// wakeUpEvery is how many callbacks of the load there are for each that wakes a conversation up.
const wakeUpEvery = 20
