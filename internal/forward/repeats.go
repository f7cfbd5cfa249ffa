package forward

import "time"

// repeats remembers the SIDs of events for a while: those since began in young, those of before that in old. Its user
// locks it.
type repeats struct {
	young, old map[string]struct{}
	began      time.Time
}

func newRepeats() *repeats { return &repeats{young: map[string]struct{}{}} }

// seen reports whether an event is remembered. One without a SID never is.
func (r *repeats) seen(sid string, now time.Time) bool {
	r.age(now)
	_, young := r.young[sid]
	_, old := r.old[sid]
	return sid != "" && (young || old)
}

// remember keeps an event.
func (r *repeats) remember(sid string, now time.Time) {
	r.age(now)
	if sid == "" {
		return
	}
	if len(r.young) == 0 {
		r.began = now
	}
	r.young[sid] = struct{}{}
}

// age makes the young ones old when they are many or have been there for long, and forgets the old ones.
func (r *repeats) age(now time.Time) {
	if len(r.young) == 0 || len(r.young) < repeatsRemembered && now.Sub(r.began) < repeatsFor {
		return
	}
	r.old, r.young = r.young, map[string]struct{}{}
	if now.Sub(r.began) >= 2*repeatsFor {
		r.old = nil
	}
}
