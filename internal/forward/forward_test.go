package forward

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	twilioclient "github.com/twilio/twilio-go/client"

	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

func TestAnEventArrivesUnchangedAndSignedForItsTarget(t *testing.T) {
	for name, test := range map[string]struct{ target, called, signed, authorization string }{
		"a plain URL":            {theirs, theirs, theirs, ""},
		"a fragment is not sent": {theirs + "?key=1#rc=2", theirs + "?key=1", theirs + "?key=1", ""},
		"a port":                 {"https://them.example.com:8443/e", "https://them.example.com:8443/e", "https://them.example.com:8443/e", ""},
		"no path":                {"https://them.example.com", "https://them.example.com", "https://them.example.com/", ""},
		"no path but a query":    {"https://them.example.com?a=b", "https://them.example.com?a=b", "https://them.example.com/?a=b", ""},
		"an escaped path":        {theirs + "/a%2Fb", theirs + "/a%2Fb", theirs + "/a%2Fb", ""},
		"user information": {"https://user:pass@them.example.com/e", "https://them.example.com/e", "https://user:pass@them.example.com/e",
			"Basic dXNlcjpwYXNz"},
		"plain http": {"http://them.example.com/e", "http://them.example.com/e", "http://them.example.com/e", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				them := &party{}
				f := start(t, them)
				// Not as Go would encode it: the bytes count.
				body := "EventType=task.created&Sid=EV1&Text=a%20b+c%c3%a9&TaskSid=WT1&Empty="
				form, err := url.ParseQuery(body)
				if err != nil {
					t.Fatal(err)
				}
				f.Forward(event("WT1", 1, to(test.target), func(e *Event) {
					e.Body, e.Form = []byte(body), form
					e.Header.Set("User-Agent", "TwilioProxy/1.1")
					e.Header.Set("I-Twilio-Idempotency-Token", "idempotent")
					e.Header.Set("X-Twilio-Signature", "of the original")
					e.Header.Set("X-Forwarded-For", "192.0.2.1")
				}))
				f.expect("delivered 1")
				got := them.got[0]
				if got.url != test.called || got.body != body || got.Method != http.MethodPost {
					t.Errorf("got %s %s %q, want a POST to %s of %q", got.Method, got.url, got.body, test.called, body)
				}
				signed := got.Header.Get(signature.Header)
				if !signature.Valid([]string{token}, test.signed, form, signed) {
					t.Errorf("the signature does not verify for %s", test.signed)
				}
				flat := map[string]string{}
				for name := range form {
					flat[name] = form.Get(name)
				}
				validator := twilioclient.NewRequestValidator(token)
				if !validator.Validate(test.signed, flat, signed) {
					t.Errorf("Twilio's own library does not accept the signature for %s", test.signed)
				}
				want := http.Header{
					"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}, "User-Agent": {"TwilioProxy/1.1"},
					"I-Twilio-Idempotency-Token": {"idempotent"}, signature.Header: {signed}, "Via": {"1.1 " + f.via},
				}
				if test.authorization != "" {
					want.Set("Authorization", test.authorization)
				}
				if fmt.Sprint(got.Header) != fmt.Sprint(want) {
					t.Errorf("header\n%v, want\n%v", got.Header, want)
				}
			})
		})
	}
}

// TestTheSignatureIsTwilios is the test vector of Twilio's libraries.
func TestTheSignatureIsTwilios(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{}
		f := start(t, them)
		form := url.Values{
			"CallSid": {"CA1234567890ABCDE"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}, "Caller": {"+14158675309"},
		}
		f.Forward(event("", 1, to("https://mycompany.com/myapp.php?foo=1&bar=2"), func(e *Event) {
			e.Token, e.Form, e.Body = "12345", form, []byte(form.Encode())
		}))
		f.expect("delivered 1")
		if got, want := them.got[0].Header.Get(signature.Header), "RSOYDt4T1cUTdK1PDd93/VVr8B8="; got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
	})
}

func TestATasksEventsArriveInOrderAlsoWhenTheFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 2
		them := &party{}
		them.answers = func(got *received) int {
			if got.form.Get("TaskSid") == "WT1" && failures > 0 {
				failures--
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		}
		f := start(t, them)
		for number := 1; number <= 3; number++ {
			f.Forward(event("WT1", number))
		}
		f.Forward(event("WT2", 1))
		synctest.Wait()
		if got, want := them.events(), []string{"WT1 1", "WT2 1"}; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("at first %q, want %q: one task does not wait for another", got, want)
		}
		time.Sleep(3 * time.Second) // on the bubble's clock: past both pauses
		f.expect("delivered 4")
		ofFirst := slices.DeleteFunc(them.events(), func(e string) bool { return !strings.HasPrefix(e, "WT1") })
		if want := []string{"WT1 1", "WT1 1", "WT1 1", "WT1 2", "WT1 3"}; !slices.Equal(ofFirst, want) {
			t.Errorf("the failing task's attempts are %q, want %q", ofFirst, want)
		}
	})
}

func TestEventsWithoutATaskAreOrderedByWhatTheyAreAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(got *received) int { waits(got, time.Second); return 204 }}
		f := start(t, them)
		for number := 1; number <= 2; number++ {
			f.Forward(event("", number))
		}
		synctest.Wait()
		if got := them.events(); len(got) != 1 {
			t.Errorf("%q are under way at once, want one", got)
		}
	})
}

func TestASlowTargetDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{}
		them.answers = func(got *received) int {
			if strings.Contains(got.url, "slow") {
				waits(got, time.Hour)
			}
			return http.StatusNoContent
		}
		f := start(t, them)
		began := time.Now()
		for i := range 100 {
			f.Forward(event(fmt.Sprint("WT", i), 1, to("https://slow.example.com/")))
		}
		synctest.Wait()
		f.Forward(event("WT", 1))
		if time.Since(began) != 0 {
			t.Error("whoever hands events over has waited")
		}
		f.expect("delivered 1, queued 100")
		if most := them.most(); most != maxRequests+1 {
			t.Errorf("%d requests are under way to two targets, want %d to the slow one", most, maxRequests)
		}
	})
}

func TestWhatAnAnswerLeadsTo(t *testing.T) {
	again := "delivered 1"
	for status, want := range map[int]string{
		200: "delivered 1", 204: "delivered 1", 202: "delivered 1",
		0: again, 429: again, 500: again, 502: again, 503: again, 599: again,
		301: "refused 1", 302: "refused 1", 400: "refused 1", 401: "refused 1", 403: "refused 1", 404: "refused 1", 410: "refused 1",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				them, attempts := &party{}, 1
				them.answers = func(*received) int {
					if len(them.events()) == 1 {
						return status
					}
					return http.StatusNoContent
				}
				if want == again && (status == 0 || status >= 400) {
					attempts = 2
				}
				f := start(t, them)
				f.Forward(event("WT1", 1))
				time.Sleep(time.Minute)
				f.expect(want)
				if got := len(them.events()); got != attempts {
					t.Errorf("%d attempts, want %d", got, attempts)
				}
			})
		})
	}
}

func TestAnEventIsTriedForABoundedTimeWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(*received) int { return http.StatusBadGateway }}
		f := start(t, them)
		began := time.Now()
		f.Forward(event("WT1", 1))
		time.Sleep(10 * time.Minute)
		f.expect("expired 1")
		var pauses []string
		for i, got := range them.got[1:] {
			pauses = append(pauses, got.at.Sub(them.got[i].at).String())
		}
		want := []string{"500ms", "1s", "2s", "4s", "8s", "15s", "15s", "15s", "15s", "15s", "15s"}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		if last := them.got[len(them.got)-1].at.Sub(began); last > patience {
			t.Errorf("the last attempt was after %s", last)
		}
	})
}

func TestATargetThatHangsIsGivenUpAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(got *received) int { waits(got, time.Hour); return 204 }}
		f := start(t, them)
		f.Forward(event("WT1", 1))
		f.Forward(event("WT1", 2))
		time.Sleep(3 * time.Minute)
		f.expect("expired 2")
		if second := them.got[1].at.Sub(them.got[0].at); second != attemptTimeout+firstBackOff {
			t.Errorf("the second attempt came after %s, want %s", second, attemptTimeout+firstBackOff)
		}
		if notes := f.noted(); len(notes) != 1 || !strings.Contains(notes[0], "did not answer in time") {
			t.Errorf("events %q", notes)
		}
	})
}

func TestPausesAreSpread(t *testing.T) {
	f := &Forwarder{options: Options{Random: func() float64 { return 0.999 }}}
	for attempts, least := range map[int]time.Duration{0: 375 * time.Millisecond, 5: 11250 * time.Millisecond, 1000: 11250 * time.Millisecond} {
		if got := f.pause(attempts); got < least || got > least+least/100 {
			t.Errorf("the pause after %d attempts is %s at least, want about %s", attempts, got, least)
		}
	}
}

func TestBounds(t *testing.T) {
	large := func(e *Event) { e.Body = append(e.Body, make([]byte, 64<<10)...) }
	hang := func(got *received) int { waits(got, time.Hour); return 204 }
	each := len(event("WT0000", 1, large).Body) + eventOverhead
	for name, test := range map[string]struct {
		targets, events int
		change          func(*Event)
		queued          int
	}{
		"events of one target":  {1, maxEvents, func(*Event) {}, maxTargetEvents},
		"events of all targets": {3, maxEvents, func(*Event) {}, maxEvents},
		"bytes of one target":   {1, 1000, large, maxTargetBytes / each},
		"bytes of all targets":  {3, 1000, large, maxBytes / each},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				them := &party{answers: hang}
				f := start(t, them)
				sent := 0
				for i := range test.events {
					for target := range test.targets {
						f.Forward(event(fmt.Sprintf("WT%04d", i), 1, to(fmt.Sprintf("https://%d.example.com/", target)), test.change,
							func(e *Event) { e.Form.Set("Sid", fmt.Sprint("EV", target, "-", i)) }))
						sent++
					}
				}
				f.expect(fmt.Sprintf("dropped %d, queued %d", sent-test.queued, test.queued))
				if most := them.most(); most > test.targets*maxRequests {
					t.Errorf("%d requests at a time", most)
				}
				time.Sleep(10 * time.Minute)
				f.expect(fmt.Sprintf("dropped %d, expired %d", sent-test.queued, test.queued))
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.queue.events != 0 || f.queue.bytes != 0 || len(f.queue.targets) != 0 {
					t.Errorf("%d events, %d bytes and %d targets are left", f.queue.events, f.queue.bytes, len(f.queue.targets))
				}
			})
		})
	}
}

func TestAnEventThatTwilioRepeatsIsPassedOnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{}
		f := start(t, them)
		f.Forward(event("WT1", 1))
		f.Forward(event("WT1", 1))
		f.expect("delivered 1, repeated 1")
		time.Sleep(repeatsFor - time.Second)
		f.Forward(event("WT1", 1))
		f.expect("delivered 1, repeated 2")
		f.Forward(event("WT1", 2))
		f.expect("delivered 2, repeated 2")
		for _, sid := range []string{"", strings.Repeat("E", maxSIDLength+1)} {
			for range 2 {
				f.Forward(event("WT1", 3, func(e *Event) { e.Form.Set("Sid", sid) }))
			}
		}
		f.expect("delivered 6, repeated 2")
	})
}

func TestRepeatsAreForgottenInTheEnd(t *testing.T) {
	now := time.Now()
	r := newRepeats()
	r.remember("EV1", now)
	for i := range repeatsRemembered {
		now = now.Add(time.Millisecond)
		r.remember(fmt.Sprint("EV-", i), now)
		if !r.seen("EV1", now) {
			t.Fatalf("forgotten after %d others", i+1)
		}
	}
	for i := range 10 * repeatsRemembered {
		r.remember(fmt.Sprint("EV--", i), now)
	}
	if r.seen("EV1", now) {
		t.Error("the first is remembered after very many others")
	}
	if kept := len(r.young) + len(r.old); kept > 2*repeatsRemembered {
		t.Errorf("%d are kept", kept)
	}
	r.remember("EV2", now)
	if r.seen("EV2", now.Add(2*repeatsFor+time.Second)) {
		t.Error("remembered for ever")
	}
}

func TestWhatWasDroppedMayComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(got *received) int {
			if got.form.Get("TaskSid") == "WT1" {
				waits(got, time.Minute)
			}
			return http.StatusNoContent
		}}
		f := start(t, them)
		for i := range maxTargetEvents {
			f.Forward(event("WT1", i))
		}
		f.Forward(event("WT2", 1))
		f.expect(fmt.Sprintf("dropped 1, queued %d", maxTargetEvents))
		time.Sleep(3 * time.Minute)
		f.Forward(event("WT2", 1))
		f.expect(fmt.Sprintf("delivered 1, dropped 1, expired %d", maxTargetEvents))
	})
}

func TestTwoOperatorsDoNotPassAnEventOnForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{}
		f := start(t, them)
		f.Forward(event("WT1", 1, through("1.1 proxy, 1.1 "+f.via)))
		f.expect("looped 1")
		f.Forward(event("WT1", 2, through("1.1 inactivity-operator-a, 1.1 inactivity-operator-b"), through("HTTP/1.1 inactivity-operator-c (x)")))
		f.expect("delivered 1, looped 1")
		if got, want := them.got[0].Header.Get("Via"), "1.1 inactivity-operator-a, 1.1 inactivity-operator-b, 1.1 inactivity-operator-c, 1.1 "+f.via; got != want {
			t.Errorf("Via %q, want %q", got, want)
		}
		f.Forward(event("WT1", 3, func(e *Event) { e.Header.Set("Via", them.got[0].Header.Get("Via")+"-not") }))
		f.expect("delivered 1, looped 2")
	})
}

func TestAnOperatorKnowsItsOtherReplicas(t *testing.T) {
	one, other := pseudonym("https://a"), pseudonym("https://a")
	if one != other || one == pseudonym("https://b") {
		t.Error("the pseudonym should depend on the identity alone")
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, target := range []string{"", "them", "//them.example.com/", "ftp://them.example.com/" + secret, "https:///" + secret, "https://%zz/" + secret} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, &party{})
			f.Forward(event("WT1", 1, to(target)))
			f.expect("refused 1")
			if told := fmt.Sprint(f.logged(), f.noted()); strings.Contains(told, secret) || !strings.Contains(told, "http") {
				t.Errorf("told %s", told)
			}
		})
	}
}

func TestWhatIsQueuedGetsSomeTimeAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(got *received) int { waits(got, 5*time.Second); return 204 }}
		f := start(t, them)
		f.Forward(event("WT1", 1))
		f.stop()
		synctest.Wait()
		f.Forward(event("WT1", 2)) // the receiver still drains
		f.end()
		began := time.Now()
		<-f.ended
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("ended after %s, want right after both were delivered", took)
		}
		f.expect("delivered 2")
		if lines := f.logged(); len(lines) != 0 {
			t.Errorf("lines %q", lines)
		}
	})
}

func TestAtTheEndTheRestIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(got *received) int { waits(got, time.Hour); return 204 }}
		f := start(t, them)
		for i := range 20 {
			f.Forward(event(fmt.Sprint("WT", i/2), i))
		}
		f.end()
		began := time.Now()
		<-f.ended
		if took := time.Since(began); took != drainTimeout {
			t.Errorf("ended after %s, want %s", took, drainTimeout)
		}
		f.expect("dropped 20")
		f.Forward(event("WT9", 99))
		f.expect("dropped 21")
		lines := slices.DeleteFunc(f.logged(), func(line string) bool { return strings.Contains(line, "Passing") })
		if len(lines) != 1 || !strings.Contains(lines[0], `"events"=20`) {
			t.Errorf("lines %q, want one with the number", lines)
		}
	})
}

func TestTroubleIsToldSeldomAndWithoutSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{answers: func(*received) int { return http.StatusForbidden }}
		f := start(t, them)
		target := to("https://user:" + secret + "@them.example.com/" + secret + "?key=" + secret)
		for i := range 25 * 60 {
			f.Forward(event("WT1", i, target))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		lines, notes := f.logged(), f.noted()
		if len(lines) != 25 {
			t.Errorf("%d lines in 25 minutes, want one a minute", len(lines))
		}
		want := []string{
			"Warning ForwardFailing support/plain: Workspace " + workspace + ": 1 events were not passed on to https://them.example.com: it answered with status 403; " + cureForbidden,
			"Warning ForwardFailing support/plain: Workspace " + workspace + ": 600 events were not passed on to https://them.example.com: it answered with status 403; " + cureForbidden,
		}
		if len(notes) != 3 || notes[0] != want[0] || notes[1] != want[1] {
			t.Errorf("events\n%s\nwant\n%s\nand another", strings.Join(notes, "\n"), strings.Join(want, "\n"))
		}
		if told := fmt.Sprint(lines, notes); strings.Contains(told, secret) || strings.Contains(told, token) {
			t.Errorf("a secret is told: %s", told)
		}
	})
}

func TestAFailureThatIsMadeUpForIsNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		them := &party{}
		them.answers = func(*received) int {
			if len(them.events()) < 3 {
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		}
		f := start(t, them)
		f.Forward(event("WT1", 1))
		time.Sleep(time.Minute)
		f.expect("delivered 1")
		if lines := f.logged(); len(lines) != 1 || !strings.Contains(lines[0], "503") {
			t.Errorf("lines %q, want one", lines)
		}
		if notes := f.noted(); len(notes) != 0 {
			t.Errorf("events %q", notes)
		}
	})
}

func TestTroublesOfVeryManyWorkspacesAreNotAllKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &party{})
		for i := range 3 * maxTroubles {
			f.troubles.lost(fmt.Sprint("WS", i), event("", 1).Policy, "https://them.example.com", troubleFull)
		}
		if kept := len(f.troubles.workspaces); kept > maxTroubles {
			t.Errorf("%d are kept", kept)
		}
		synctest.Wait()
		time.Sleep(warningInterval + time.Second)
		f.troubles.lost("WS-new", event("", 1).Policy, "https://them.example.com", troubleFull)
		if len(f.troubles.workspaces) != 1 {
			t.Errorf("%d are kept after they were told long ago", len(f.troubles.workspaces))
		}
	})
}

func TestErrorsAreToldByKind(t *testing.T) {
	certificate := &tls.CertificateVerificationError{Err: fmt.Errorf("x509: %s", secret)}
	if _, cause := classifyError(t.Context(), fmt.Errorf("remote: %w", certificate)); cause != troubleCertificate {
		t.Errorf("a certificate: %+v", cause)
	}
	if _, cause := classifyError(t.Context(), fmt.Errorf("malformed HTTP response %q", secret)); cause != troubleConnection {
		t.Errorf("anything else: %+v", cause)
	}
}

func TestAMissingDependencyIsRefused(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a forwarder was made of nothing")
	}
}
