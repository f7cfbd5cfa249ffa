package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// readAgain is how long after an edit every replica has read a Secret, by docs/operations.md.
	readAgain = 2 * time.Minute

	// repeatedFor is how long after it was signed a callback may still come: late, and then again hours later.
	repeatedFor = 5 * time.Hour
)

// setSecrets writes the teams' Secrets, in any order. The previous token is left out when it is empty.
func (w *world) setSecrets(draw *rand.Rand, token, previous string, within time.Duration) {
	for _, i := range draw.Perm(len(teams)) {
		values := map[string][]byte{"accountSid": []byte(w.twilio.AccountSID()), "authToken": []byte(token)}
		if previous != "" {
			values["previousAuthToken"] = []byte(previous)
		}
		time.Sleep(between(draw, 0, within))
		w.cluster.setSecret(types.NamespacedName{Namespace: teams[i], Name: secretName}, values)
		w.tell("an admin writes the Secret of %s", teams[i])
	}
}

// rotate has the account's owner rotate the auth token as the documentation says. No callback may be refused, and no request.
func (w *world) rotate(draw *rand.Rand) {
	pause := oneOf(draw, 2*time.Hour, 6*time.Hour, 18*time.Hour)
	for {
		if !w.idle(between(draw, 0, pause)) {
			return
		}
		old, fresh := w.twilio.AuthToken(), fmt.Sprintf("%016x%016x", draw.Uint64(), draw.Uint64())
		w.twilio.SetSecondaryAuthToken(fresh)
		w.setSecrets(draw, fresh, old, oneOf(draw, time.Second, 10*time.Minute))
		if !w.idle(between(draw, readAgain, oneOf(draw, readAgain+time.Second, time.Hour))) {
			return
		}
		w.mu.Lock()
		w.signed = append(w.signed, fresh)
		w.mu.Unlock()
		w.twilio.PromoteAuthToken()
		w.tell("the token is promoted")
		w.tally.count("rotations of the token", 1)
		if !w.idle(between(draw, repeatedFor, repeatedFor+time.Hour)) {
			return
		}
		w.setSecrets(draw, fresh, "", oneOf(draw, time.Second, 10*time.Minute))
	}
}

// idle lets time pass, and reports whether people still do something afterwards.
func (w *world) idle(length time.Duration) bool {
	w.wait(time.Now().Add(length))
	return !w.isSilent()
}

// loseSecrets has somebody delete a Secret now and then, which is made again before the faults cease.
func (w *world) loseSecrets(draw *rand.Rand) {
	every := oneOf(draw, 0, 0, 4*time.Hour, 12*time.Hour)
	for i := 0; every > 0; i++ {
		if w.idle(between(draw, time.Second, every)); w.isCalm() {
			return
		}
		name := types.NamespacedName{Namespace: oneOf(draw, teams...), Name: secretName}
		part := fmt.Sprintf("deletion of a Secret %d", i)
		if !w.plays(part) {
			continue
		}
		values := w.cluster.secretValues(name)
		w.cluster.setSecret(name, nil)
		w.tell("somebody deletes the Secret of %s", name.Namespace)
		w.tally.count("deletions of Secrets", 1)
		time.Sleep(min(between(draw, time.Second, oneOf(draw, 10*time.Second, time.Hour)), time.Until(w.calm)))
		if w.cluster.secretValues(name) == nil { // unless the token has been rotated meanwhile
			w.cluster.setSecret(name, values)
			w.tell("the Secret of %s is there again", name.Namespace)
		}
	}
}
