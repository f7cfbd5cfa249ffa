package inactivity

import (
	"fmt"
	"slices"
	"time"
)

// did records a write that Twilio has done.
func (r *historyRound) did(what string) *historyDeed {
	deed := r.deed(what)
	deed.seq, deed.landed = r.w.next(), r.w.now
	r.w.deeds = append(r.w.deeds, deed)
	return deed
}

func (r *historyRound) deed(what string) *historyDeed {
	return &historyDeed{what: what, round: r, decided: r.snapshot.Now, asked: r.w.now, knew: r.knew, by: r.forces[r.owner]}
}

// answered is what a call returns that Twilio has done: nothing, if its answer is lost.
func (w *world) answered() error {
	if w.faulty("lost") {
		return errHistoryFailed
	}
	return nil
}

func (r *historyRound) arm(decision Decision) {
	w := r.w
	if decision.CreateWebhook {
		r.calls = append(r.calls, func() error {
			if len(w.webhooks) >= MaxWebhooks || w.state == ConversationClosed {
				return errHistoryChanged
			}
			w.webhooks = append(w.webhooks, historyWebhook)
			r.snapshot.Webhooks.URLs = append(r.snapshot.Webhooks.URLs, historyWebhook)
			r.did("webhook")
			return w.answered()
		})
	}
	r.calls = append(r.calls, func() error { return r.setTimer(decision.Timer, decision.Activate || decision.Act == ActRearm) })
	r.then = func() {
		if r.snapshot.Conversation.State == ConversationActive {
			r.plan(decision)
		}
	}
}

func (r *historyRound) setTimer(timer time.Duration, activate bool) error {
	w := r.w
	switch {
	case timer < time.Minute || timer > 24*time.Hour || timer%time.Second != 0:
		w.wrong("Twilio takes no timer of %s", timer)
	case w.state == ConversationClosed:
		return errHistoryChanged
	}
	if w.timer = timer; activate {
		w.state = ConversationActive
	}
	if w.state == ConversationActive {
		w.inactiveAt = w.now.Add(timer)
	}
	r.did("timer")
	r.snapshot.Conversation = w.conversation()
	return w.answered()
}

// claim writes the operator's entry on the task, if nobody has changed the task since it was read.
func (r *historyRound) claim(decision Decision, claim Claim) error {
	w := r.w
	known := slices.IndexFunc(r.snapshot.Tasks, func(task Task) bool { return task.SID == decision.TaskSID })
	if known < 0 || r.snapshot.Tasks[known].ETag == "" {
		w.Fatalf("a claim on a task that was not read: %+v", decision)
	}
	attributes, err := r.snapshot.Tasks[known].Attributes.WithClaim(claim)
	if err != nil {
		w.Fatalf("%v", err)
	}
	task := w.find(decision.TaskSID)
	if task != nil && w.faulty("conflict") {
		task.set("other", w.seq)
	}
	if task == nil || r.snapshot.Tasks[known].ETag != fmt.Sprint(task.version) {
		w.tell("the claim is refused with 412")
		return errHistoryChanged
	}
	hold, kept := task.hold, *task
	task.attributes = attributes
	task.version++
	if kept.set(AttributeKey, nil); sameButClaim(kept.attributes, task.attributes) != nil {
		w.wrong("I5: a claim has changed %s to %s", kept.attributes, task.attributes)
	}
	task.hold = hold
	deed := r.did("claim")
	deed.step, deed.before = claim.Step, time.Duration(claim.BeforeSeconds)*time.Second
	r.refresh(task)
	return w.answered()
}

// sameButClaim is an error where attributes differ in more than the operator's entry.
func sameButClaim(before, after string) error {
	task := historyTask{attributes: after}
	if task.set(AttributeKey, nil); task.attributes != before {
		return errHistoryFailed
	}
	return nil
}

// send claims a step and sends its text.
func (r *historyRound) send(policy Policy, decision Decision) {
	w := r.w
	r.calls = []func() error{func() error { return r.claim(decision, decision.Claim) }}
	if decision.TakeOver {
		r.calls = append(r.calls, func() error { return r.stillUnsent(policy, decision) })
	}
	r.calls = append(r.calls, func() error {
		deed := r.deed("text")
		deed.step, deed.before = decision.Claim.Step, time.Duration(decision.Claim.BeforeSeconds)*time.Second
		deed.template, deed.author = decision.Message.ContentSID != "", policy.Author
		if deed.author == "" {
			deed.author = systemAuthor
		}
		marker := Marker{Policy: policy.Name, Step: deed.step, Episode: decision.Claim.Episode, IdleSince: decision.Claim.IdleSince(),
			BeforeSeconds: decision.Claim.BeforeSeconds}
		if deed.step == StepNotice {
			marker.Action, marker.Channels = policy.Action, policy.ChannelsOf(r.snapshot)
		}
		attributes, err := marker.Attributes()
		if err != nil || decision.Message.IsEmpty() {
			w.Fatalf("%+v: %v", decision, err)
		}
		deed.attributes = attributes
		switch {
		case w.state == ConversationClosed:
			return errHistoryChanged
		case w.refuses[deed.step] && !deed.template:
			w.refusals = append(w.refusals, deed)
			w.tell("Twilio refuses the %s for good", deed.step)
			r.calls = []func() error{func() error { return r.claim(decision, decision.Claim.WithRefusal()) }}
			r.then = r.lookAtMessagesAgain
			return nil
		case w.faulty("delayed"):
			lands := w.now.Add(time.Duration(1+w.seq%20) * time.Second)
			if last := r.began.Add(historyPatience); lands.After(last) {
				lands = last
			}
			w.flights = append(w.flights, historyFlight{lands: lands, deed: deed})
			return errHistoryFailed
		}
		w.land(deed)
		r.lookAtMessagesAgain()
		if decision.Timer > 0 {
			r.calls = append(r.calls, func() error { return r.setTimer(decision.Timer, true) })
		}
		return w.answered()
	})
}

// stillUnsent looks once more whether somebody else has done the step that is taken over: at all messages, because the
// decision may have needed more than the newest.
func (r *historyRound) stillUnsent(policy Policy, decision Decision) error {
	if err := r.readMessages(len(r.w.messages)); err != nil {
		return err
	}
	if !policy.StillWants(decision, r.snapshot) {
		return errHistoryChanged
	}
	return nil
}

// finish ends the tasks.
func (r *historyRound) finish(decision Decision) {
	w := r.w
	ended := TaskCompleted
	if decision.WrapUp {
		ended = TaskWrapping
	}
	forget := func(task Task) {
		for i := range r.snapshot.Tasks {
			if r.snapshot.Tasks[i].SID == task.SID {
				r.snapshot.Tasks[i].Status = ended
			}
		}
		r.knew.tasks = slices.Clone(r.knew.tasks)
		for i := range r.knew.tasks {
			if r.knew.tasks[i].sid == task.SID {
				r.knew.tasks[i].status = ended
			}
		}
	}
	for _, ref := range decision.Channels {
		r.calls = append(r.calls, func() error {
			r.did("channel")
			w.closeChannel(!decision.WrapUp)
			r.snapshot.Channels[ref], r.knew.channel = ChannelClosed, ChannelClosed
			for _, task := range r.snapshot.Tasks {
				if task.Attributes.Channel == ref && task.Status == TaskAssigned {
					forget(task)
				}
			}
			return w.answered()
		})
	}
	for _, sid := range decision.TaskSIDs {
		r.calls = append(r.calls, func() error {
			if task := w.find(sid); task != nil && task.isLive() {
				r.did("task")
				w.end(task, ended)
			}
			forget(Task{SID: sid})
			return w.answered()
		})
	}
	if len(r.calls) == 0 {
		w.Fatalf("Finish of nothing: %+v", decision)
	}
}

func (r *historyRound) close() error {
	if r.w.state != ConversationClosed {
		r.did("close")
		r.w.state = ConversationClosed
		r.w.tell("the operator has closed the conversation")
	}
	r.snapshot.Conversation, r.knew.state = &Conversation{State: ConversationClosed}, ConversationClosed
	return r.w.answered()
}
