package controllers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

var (
	limitedPolicy = types.NamespacedName{Namespace: "team", Name: "limited"}
	limitBegins   = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
)

// comes is a conversation that asks to be ended. Times are in seconds after the first one asks.
type comes struct {
	at   int
	name string
	// due is when it became due: the smaller, the longer it has waited.
	due int
	// withdrawn: it does not ask, but is not due any more.
	withdrawn bool
	policy    types.NamespacedName
}

func (c comes) key() ConversationKey { return ConversationKey{ConversationSID: c.name} }

func TestWhoEndsUnderALimit(t *testing.T) {
	for sentence, test := range map[string]struct {
		limit int
		comes []comes
		// want is what each is told: "now", or in how many seconds to come back.
		want []string
	}{
		"whoever is alone waits for others for a moment, and ends": {1,
			[]comes{{at: 0, name: "a"}, {at: 5, name: "a"}}, []string{"5", "now"}},
		"who comes too early is told the rest of the moment": {1,
			[]comes{{at: 0, name: "a"}, {at: 2, name: "a"}}, []string{"5", "3"}},
		"as many as the limit end at once": {2,
			[]comes{{at: 0, name: "a"}, {at: 0, name: "b"}, {at: 5, name: "a"}, {at: 5, name: "b"}},
			[]string{"5", "5", "now", "now"}},
		"one more waits until the first is a minute ago": {2,
			[]comes{{at: 0, name: "a"}, {at: 0, name: "b"}, {at: 0, name: "c"}, {at: 5, name: "a"}, {at: 15, name: "b"}, {at: 16, name: "c"}, {at: 65, name: "c"}},
			[]string{"5", "5", "5", "now", "now", "49", "now"}},
		"who has been due for longer goes first, also when it asks later": {1,
			[]comes{{at: 0, name: "new", due: 9}, {at: 1, name: "old", due: 1}, {at: 5, name: "new", due: 9}, {at: 6, name: "old", due: 1}, {at: 10, name: "new", due: 9}},
			[]string{"5", "5", "5", "now", "56"}},
		"of two that are due since the same moment one goes first, always the same": {1,
			[]comes{{at: 0, name: "b"}, {at: 0, name: "a"}, {at: 5, name: "b"}, {at: 5, name: "a"}}, []string{"5", "5", "5", "now"}},
		"who has a whole limit ahead waits for as many minutes more": {1,
			[]comes{
				{at: 0, name: "a", due: 1},
				{at: 0, name: "b", due: 2},
				{at: 0, name: "c", due: 3},
				{at: 5, name: "a", due: 1},
				{at: 6, name: "b", due: 2},
				{at: 7, name: "c", due: 3},
			},
			[]string{"5", "5", "5", "now", "59", "118"}},
		"who does not wait any more holds no place": {1,
			[]comes{{at: 0, name: "a", due: 1}, {at: 0, name: "b", due: 2}, {at: 1, name: "a", withdrawn: true}, {at: 5, name: "b", due: 2}},
			[]string{"5", "5", "", "now"}},
		"who does not come back loses the place in the end": {1,
			[]comes{
				{at: 0, name: "gone", due: 1},
				{at: 100, name: "b", due: 2},
				{at: 105, name: "b", due: 2},
				{at: 126, name: "b", due: 2},
			},
			[]string{"5", "5", "5", "now"}},
		"who has ended holds a place of the minute, and none in the queue": {2,
			[]comes{{at: 0, name: "a"}, {at: 5, name: "a"}, {at: 5, name: "a", withdrawn: true}, {at: 6, name: "b"}, {at: 11, name: "b"}},
			[]string{"5", "now", "", "5", "now"}},
		"who has gone to another policy is in that one's queue only": {1,
			[]comes{
				{at: 0, name: "a", due: 1},
				{at: 0, name: "b", due: 2},
				{at: 1, name: "a", due: 1, policy: types.NamespacedName{Name: "other"}},
				{at: 5, name: "b", due: 2},
			},
			[]string{"5", "5", "5", "now"}},
		"each policy has a limit of its own": {1,
			[]comes{
				{at: 0, name: "a"},
				{at: 0, name: "b", policy: types.NamespacedName{Name: "other"}},
				{at: 5, name: "a"},
				{at: 5, name: "b", policy: types.NamespacedName{Name: "other"}},
			},
			[]string{"5", "5", "now", "now"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			var limits throttles
			var got []string
			for _, one := range test.comes {
				if one.withdrawn {
					limits.withdraw(one.key())
					got = append(got, "")
					continue
				}
				if one.policy == (types.NamespacedName{}) {
					one.policy = limitedPolicy
				}
				now := limitBegins.Add(time.Duration(one.at) * time.Second)
				admitted, wait := limits.admit(one.policy, one.key(), limitBegins.Add(time.Duration(one.due)*time.Second), test.limit, now)
				if got = append(got, fmt.Sprint(wait.Seconds())); admitted {
					got[len(got)-1] = "now"
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("told %q, want %q", got, test.want)
			}
		})
	}
}

// TestUnderALimitAllEndAndNobodyBeforeThoseWhoHaveBeenDueForLonger lets hundreds come back when they were told to, a little late as the
// queue has it.
func TestUnderALimitAllEndAndNobodyBeforeThoseWhoHaveBeenDueForLonger(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, limit := range []int{1, 7, 60} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			const count = 300
			var limits throttles
			back, due := map[string]time.Time{}, map[string]time.Time{}
			for i, place := range random.Perm(count) {
				name := fmt.Sprintf("CH%03d", i)
				back[name] = limitBegins.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
				due[name] = limitBegins.Add(-time.Duration(place) * time.Second)
			}
			var ended []string
			var at []time.Time
			for now := limitBegins; len(ended) < count; now = now.Add(100 * time.Millisecond) {
				if now.Sub(limitBegins) > time.Duration(count/limit+3)*(time.Minute+2*throttleGather) {
					t.Fatalf("%d of %d have ended after %s", len(ended), count, now.Sub(limitBegins))
				}
				for name, when := range back {
					if now.Before(when) {
						continue
					}
					admitted, wait := limits.admit(limitedPolicy, ConversationKey{ConversationSID: name}, due[name], limit, now)
					if admitted {
						delete(back, name)
						ahead := 0
						for other := range back {
							if due[other].Before(due[name]) {
								ahead++
							}
						}
						if ahead >= limit {
							t.Fatalf("%s is ended before %d others that have been due for longer", name, ahead)
						}
						ended, at = append(ended, name), append(at, now)
						continue
					}
					back[name] = now.Add(wait + time.Duration(random.IntN(500))*time.Millisecond)
				}
			}
			for i := limit; i < count; i++ {
				if passed := at[i].Sub(at[i-limit]); passed < time.Minute {
					t.Errorf("%d were ended within %s", limit+1, passed)
				}
			}
			if queued := limits.queued(limitedPolicy, at[count-1]); queued != 0 {
				t.Errorf("%d still wait", queued)
			}
		})
	}
}

func TestOnlyThoseCountAsWaitingWhoHaveWaitedForMoreThanTheMoment(t *testing.T) {
	var limits throttles
	ask := func(name string, second int) {
		limits.admit(limitedPolicy, ConversationKey{ConversationSID: name}, limitBegins, 1, limitBegins.Add(time.Duration(second)*time.Second))
	}
	queued := func(second int) int {
		return limits.queued(limitedPolicy, limitBegins.Add(time.Duration(second)*time.Second))
	}
	ask("a", 0)
	ask("b", 0)
	if got := queued(4); got != 0 {
		t.Errorf("%d wait while others are waited for, want none", got)
	}
	ask("a", 5)
	ask("b", 6)
	if got := queued(6); got != 1 {
		t.Errorf("%d wait, want the one that the limit keeps", got)
	}
	if got := queued(65 + int(throttlePatience.Seconds()) + 1); got != 0 {
		t.Errorf("%d wait that did not come back, want none", got)
	}
	if got := limits.queued(types.NamespacedName{Name: "unknown"}, limitBegins); got != 0 {
		t.Errorf("%d wait for a policy that nobody has asked", got)
	}
}
