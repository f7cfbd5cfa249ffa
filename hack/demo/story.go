package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

func (d *demo) customerWrites(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	var err error
	if d.begun, err = d.twilio.writes(ctx, customerNumber, customerText); err != nil {
		return "", err
	}
	return fmt.Sprintf("SMS from %s: %q", customerNumber, customerText), nil
}

func (d *demo) agentAccepts(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	if err := d.twilio.accept(ctx, d.begun.ReservationSID); err != nil {
		return "", err
	}
	d.accepted = time.Now()
	return "task " + d.begun.TaskSID, nil
}

// waitArmed waits until the conversation has its timer and a webhook that reports it.
func (d *demo) waitArmed(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	var detail string
	err := until(ctx, soon, func(ctx context.Context) (string, error) {
		found, err := d.twilio.conversation(ctx, d.begun.ConversationSID)
		if err != nil {
			return "", err
		}
		if found.Timers.DateInactive == nil {
			return "the conversation has no timer", nil
		}
		hooks, err := d.twilio.webhooks(ctx, d.begun.ConversationSID)
		if err != nil {
			return "", err
		}
		for _, hook := range hooks {
			if strings.HasPrefix(hook.Configuration.URL, d.receiverAddress+"/") {
				detail = fmt.Sprintf("inactive at %s, reported to the operator", found.Timers.DateInactive.Local().Format(time.TimeOnly))
				return "", nil
			}
		}
		return "the conversation has no webhook of the operator", nil
	})
	return detail, err
}

// waitNotice counts the real time down until the customer has the text, and checks that it did not come early.
func (d *demo) waitNotice(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	due := d.accepted.Add(d.timeout)
	var arrived time.Time
	err := until(ctx, time.Until(due)+slack, func(ctx context.Context) (string, error) {
		d.out.countdown(time.Until(due))
		last, err := d.twilio.lastMessage(ctx, d.begun.ConversationSID)
		if err != nil {
			return "", err
		}
		if last.Body != d.policy.Spec.Message {
			return fmt.Sprintf("the last message is still %q", last.Body), nil
		}
		arrived = time.Now()
		return "", nil
	})
	if err != nil {
		return "", err
	}
	// Twilio's times are whole seconds, so that its timer may be up to one second ahead.
	if early := due.Sub(arrived); early > time.Second {
		return "", fmt.Errorf("the text came %s before the policy's timeout was over", early.Round(time.Millisecond))
	}
	return fmt.Sprintf("%q after %s", d.policy.Spec.Message, arrived.Sub(d.accepted).Round(time.Second)), nil
}

func (d *demo) waitCompleted(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	var reason string
	err := until(ctx, soon, func(ctx context.Context) (string, error) {
		found, err := d.twilio.task(ctx, d.begun.WorkspaceSID, d.begun.TaskSID)
		if err != nil {
			return "", err
		}
		if found.AssignmentStatus != "completed" {
			return "the task is " + found.AssignmentStatus, nil
		}
		reason = found.Reason
		return "", nil
	})
	if err != nil || reason == "" {
		return "the agent is free", err
	}
	return fmt.Sprintf("reason %q; the agent is free", reason), nil
}

func (d *demo) waitClosed(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	err := until(ctx, soon, func(ctx context.Context) (string, error) {
		found, err := d.twilio.conversation(ctx, d.begun.ConversationSID)
		if err != nil {
			return "", err
		}
		if found.State != "closed" {
			return "the conversation is " + found.State, nil
		}
		return "", nil
	})
	return "conversation " + d.begun.ConversationSID, err
}

func (d *demo) deletePolicy(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	if err := d.cluster.deletePolicy(ctx, d.policy.Name); err != nil {
		return "", err
	}
	err := until(ctx, soon, func(ctx context.Context) (string, error) {
		gone, err := d.cluster.gone(ctx, d.policy.Name)
		if err != nil || gone {
			return "", err
		}
		return "the policy still has its finalizer", nil
	})
	return "inactivitypolicy/" + d.policy.Name, err
}

// checkRestored needs no waiting: the policy may go only after the workspace is as it was.
func (d *demo) checkRestored(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	now, err := d.twilio.workspaceNamed(ctx, d.before.FriendlyName)
	if err != nil {
		return "", err
	}
	if now != d.before {
		return "", fmt.Errorf("the workspace was %+v before the policy and is %+v after it", d.before, now)
	}
	if now.EventCallbackURL == "" {
		return "the workspace calls nobody, as before", nil
	}
	return "the workspace calls " + now.EventCallbackURL + ", as before", nil
}
