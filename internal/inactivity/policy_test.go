package inactivity

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// written is a policy as it is written, resolved to the workspace Flex.
func written(change ...func(*v1alpha1.InactivityPolicy)) *v1alpha1.InactivityPolicy {
	p := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "plain", UID: "plain-uid", CreationTimestamp: metav1.NewTime(at(-60))},
		Spec: v1alpha1.InactivityPolicySpec{
			Workspace: v1alpha1.WorkspaceReference{FriendlyName: "Flex"}, Timeout: "15m", Message: "Bye.",
		},
		Status: v1alpha1.InactivityPolicyStatus{Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex"}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// named gives a policy another name, age in minutes before the plain one, and priority.
func named(name string, older time.Duration, priority int32, change ...func(*v1alpha1.InactivityPolicy)) *v1alpha1.InactivityPolicy {
	return written(append([]func(*v1alpha1.InactivityPolicy){func(p *v1alpha1.InactivityPolicy) {
		p.Name, p.UID, p.Spec.Priority = name, types.UID(name+"-uid"), priority
		p.CreationTimestamp = metav1.NewTime(p.CreationTimestamp.Add(-older))
	}}, change...)...)
}

func selects(selector v1alpha1.Selector) func(*v1alpha1.InactivityPolicy) {
	return func(p *v1alpha1.InactivityPolicy) { p.Spec.Selector = &selector }
}

func compiled(t *testing.T, p *v1alpha1.InactivityPolicy) Policy {
	t.Helper()
	read, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// inEffect is the policy as it is in force since at(0), with what it says of itself.
func inEffect(t *testing.T, p *v1alpha1.InactivityPolicy, others ...Policy) (*v1alpha1.InactivityPolicy, Policy) {
	t.Helper()
	read := compiled(t, p)
	since := metav1.NewTime(at(0))
	p.Status.EffectiveSince, p.Status.EffectiveRevision = &since, read.Revision(others)
	return p, read.TakeEffect(p, others)
}

func TestAPolicyIsInForceAsItWasReconciled(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*v1alpha1.InactivityPolicySpec)
		starts bool // anew
	}{
		"an edited timeout":   {func(s *v1alpha1.InactivityPolicySpec) { s.Timeout = "1m" }, true},
		"an edited selector":  {func(s *v1alpha1.InactivityPolicySpec) { s.Selector = &v1alpha1.Selector{Channels: []string{"sms"}} }, true},
		"an edited priority":  {func(s *v1alpha1.InactivityPolicySpec) { s.Priority = 7 }, true},
		"an edited mode":      {func(s *v1alpha1.InactivityPolicySpec) { s.Mode = v1alpha1.ModeObserve }, true},
		"an edited waitingOn": {func(s *v1alpha1.InactivityPolicySpec) { s.WaitingOn = v1alpha1.WaitingOnCustomer }, true},
		"an edited anchor":    {func(s *v1alpha1.InactivityPolicySpec) { s.Anchor = v1alpha1.AnchorFirstUnanswered }, true},
		"an edited existing":  {func(s *v1alpha1.InactivityPolicySpec) { s.Existing = v1alpha1.ExistingImmediate }, true},
		"an edited hold":      {func(s *v1alpha1.InactivityPolicySpec) { s.Hold = &v1alpha1.Hold{Attribute: "hold"} }, true},
		"edited hours":        {func(s *v1alpha1.InactivityPolicySpec) { s.Hours = weekdays() }, true},
		"an edited workspace": {func(s *v1alpha1.InactivityPolicySpec) { s.Workspace.FriendlyName = "Other" }, true},
		"an edited message":   {func(s *v1alpha1.InactivityPolicySpec) { s.Message = "So long." }, false},
		"edited translations": {func(s *v1alpha1.InactivityPolicySpec) { s.Translations = v1alpha1.Translations{"es": "Adiós."} }, false},
		"an edited author":    {func(s *v1alpha1.InactivityPolicySpec) { s.Author = "Support" }, false},
		"an edited action": {func(s *v1alpha1.InactivityPolicySpec) {
			s.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp}
		}, false},
		"edited warnings": {func(s *v1alpha1.InactivityPolicySpec) {
			s.Warnings = []v1alpha1.Warning{{Before: "5m", Message: "Still there?"}}
		}, false},
		"an edited limit":       {func(s *v1alpha1.InactivityPolicySpec) { s.Limits = &v1alpha1.Limits{ClosesPerMinute: 1} }, false},
		"an edited replyWindow": {func(s *v1alpha1.InactivityPolicySpec) { s.ReplyWindow = &v1alpha1.ReplyWindow{} }, false},
	} {
		edited, before := inEffect(t, written())
		if before.EffectiveSince != at(0) {
			t.Fatalf("the policy is in force since %s before it is edited", before.EffectiveSince)
		}
		test.change(&edited.Spec)
		after := compiled(t, edited).TakeEffect(edited, nil)
		if got := after.EffectiveSince.IsZero(); got != test.starts {
			t.Errorf("%s puts the policy out of force until it is reconciled: %t, want %t", sentence, got, test.starts)
		}
	}
	t.Run("a policy without a workspace is not in force", func(t *testing.T) {
		p, _ := inEffect(t, written())
		p.Status.Workspace = nil
		if got := compiled(t, p).TakeEffect(p, nil); !got.EffectiveSince.IsZero() {
			t.Errorf("it is in force since %s", got.EffectiveSince)
		}
	})
}

func weekdays() *v1alpha1.Hours {
	return &v1alpha1.Hours{TimeZone: "Europe/Madrid", Weekly: []v1alpha1.Opening{
		{Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "09:00", To: "18:00"},
	}}
}

func TestAPolicysClocksStartAnewWhenItsConversationsMayHaveChanged(t *testing.T) {
	vip := named("vip", 0, 100, selects(v1alpha1.Selector{Channels: []string{"sms"}}))
	for sentence, test := range map[string]struct {
		others []*v1alpha1.InactivityPolicy
		starts bool
	}{
		"nothing has changed":                     {[]*v1alpha1.InactivityPolicy{vip}, false},
		"the policy that took precedence is gone": {nil, true},
		"it selects others now":                   {[]*v1alpha1.InactivityPolicy{named("vip", 0, 100, selects(v1alpha1.Selector{Channels: []string{"web"}}))}, true},
		"it has another priority":                 {[]*v1alpha1.InactivityPolicy{named("vip", 0, 99, selects(v1alpha1.Selector{Channels: []string{"sms"}}))}, true},
		"it has another timeout":                  {[]*v1alpha1.InactivityPolicy{named("vip", 0, 100, selects(v1alpha1.Selector{Channels: []string{"sms"}}), func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "2m" })}, false},
		"another one takes precedence too":        {[]*v1alpha1.InactivityPolicy{vip, named("more", 0, 50, selects(v1alpha1.Selector{Channels: []string{"web"}}))}, true},
		"one that yields has come":                {[]*v1alpha1.InactivityPolicy{vip, named("less", 0, -1)}, false},
		"one was deleted and made again":          {[]*v1alpha1.InactivityPolicy{named("vip", 0, 100, selects(v1alpha1.Selector{Channels: []string{"sms"}}), func(p *v1alpha1.InactivityPolicy) { p.UID = "again" })}, true},
	} {
		p, _ := inEffect(t, written(), compiled(t, vip))
		var others []Policy
		for _, other := range test.others {
			others = append(others, compiled(t, other))
		}
		if got := compiled(t, p).TakeEffect(p, others).EffectiveSince.IsZero(); got != test.starts {
			t.Errorf("%s: the clocks start anew: %t, want %t", sentence, got, test.starts)
		}
	}
}

func TestCompileNamesEveryFieldThatCannotBeUsed(t *testing.T) {
	p := written(func(p *v1alpha1.InactivityPolicy) {
		p.Spec.Timeout = "soon"
		p.Spec.Message = "{{.Nme}}"
		p.Spec.Warnings = []v1alpha1.Warning{{Before: "5m", Message: "ok"}, {Before: "5m", Message: "{{range}}"}}
		p.Spec.Unanswered = &v1alpha1.Unanswered{After: "5m", Message: "ok", Translations: v1alpha1.Translations{"es": "{{"}}
		p.Spec.ReplyWindow = &v1alpha1.ReplyWindow{ContentVariables: map[string]v1alpha1.ContentVariable{"1": "{{.Nothing}}"}}
		p.Spec.Selector = &v1alpha1.Selector{Channels: []string{"sms"}, Expression: "task.chanel == 'sms'"}
		p.Spec.Hours = &v1alpha1.Hours{TimeZone: "Europe/Madird", Weekly: weekdays().Weekly}
	})
	read, err := Compile(p)
	if err == nil {
		t.Fatal("it is no error")
	}
	for _, field := range []string{
		"spec.timeout", "spec.message", "spec.warnings[1].message", `spec.unanswered.translations["es"]`,
		`spec.replyWindow.contentVariables["1"]`, "spec.selector.expression", "spec.hours.timeZone",
	} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
	sms := []Task{task("WT1", TaskAssigned, func(t *Task) { t.Attributes.ChannelType = "sms" })}
	if owner, err := Owner([]Policy{read}, sms, at(1)); owner != 0 || err != nil {
		t.Errorf("a policy whose expression does not compile owns %d (%v), want what the rest of its selector matches", owner, err)
	}
}

func TestOwner(t *testing.T) {
	sms := selects(v1alpha1.Selector{Channels: []string{"sms"}})
	vip := selects(v1alpha1.Selector{Expression: "task.attributes.vip == true"})
	of := func(attributes string, change ...func(*Task)) Task {
		parsed, err := ParseTaskAttributes(attributes)
		if err != nil {
			t.Fatal(err)
		}
		return task("WT1", TaskAssigned, append([]func(*Task){func(t *Task) { t.Attributes = parsed }}, change...)...)
	}
	anybody := of(`{"channelType":"sms"}`)
	for sentence, test := range map[string]struct {
		policies []*v1alpha1.InactivityPolicy
		tasks    []Task
		want     string
	}{
		"no policy, no owner": {nil, one(anybody), ""},
		"no task, no owner":   {[]*v1alpha1.InactivityPolicy{written()}, nil, ""},
		"the highest priority owns, however young": {
			[]*v1alpha1.InactivityPolicy{named("old", time.Hour, 0), named("high", 0, 1)}, one(anybody), "team/high"},
		"of the same priority the oldest owns": {
			[]*v1alpha1.InactivityPolicy{named("young", 0, 0), named("old", time.Hour, 0)}, one(anybody), "team/old"},
		"of the same age the first by name owns": {
			[]*v1alpha1.InactivityPolicy{named("b", 0, 0), named("a", 0, 0)}, one(anybody), "team/a"},
		"a policy that does not select it does not own it": {
			[]*v1alpha1.InactivityPolicy{named("high", 0, 1, selects(v1alpha1.Selector{Channels: []string{"web"}})), written()}, one(anybody), "team/plain"},
		"what no policy selects is nobody's": {
			[]*v1alpha1.InactivityPolicy{named("web", 0, 1, selects(v1alpha1.Selector{Channels: []string{"web"}}))}, one(anybody), ""},
		"an expression decides": {
			[]*v1alpha1.InactivityPolicy{named("vip", 0, 1, vip), written()}, one(of(`{"vip":true}`)), "team/vip"},
		"an attribute that a task lacks is null": {
			[]*v1alpha1.InactivityPolicy{named("vip", 0, 1, vip), written()}, one(anybody), "team/plain"},
		"an expression that cannot be evaluated keeps others from acting": {
			[]*v1alpha1.InactivityPolicy{named("tier", 0, 1, selects(v1alpha1.Selector{Expression: "task.attributes.customer.tier == 'gold'"})), written()},
			one(of(`{"customer":7}`)), "team/tier cannot tell"},
		"suspending a policy hands nothing to another": {
			[]*v1alpha1.InactivityPolicy{named("high", 0, 1, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true }), written()}, one(anybody), "team/high"},
		"a policy that only observes owns": {
			[]*v1alpha1.InactivityPolicy{named("high", 0, 1, func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve }), written()}, one(anybody), "team/high"},
		"the newest task that an agent has decides": {
			[]*v1alpha1.InactivityPolicy{named("sms", 0, 1, sms), written()},
			[]Task{of(`{"channelType":"sms"}`, createdAt(1)), of(`{"channelType":"web"}`, createdAt(2))}, "team/plain"},
		"a newer task that has ended does not decide while an agent has another": {
			[]*v1alpha1.InactivityPolicy{named("sms", 0, 1, sms), written()},
			[]Task{of(`{"channelType":"sms"}`, createdAt(1)), of(`{"channelType":"web"}`, createdAt(2), func(t *Task) { t.Status = TaskCompleted })}, "team/sms"},
		"when no agent has a task, the newest decides": {
			[]*v1alpha1.InactivityPolicy{named("sms", 0, 1, sms), written()},
			[]Task{of(`{"channelType":"sms"}`, createdAt(3), func(t *Task) { t.Status = TaskCompleted }),
				of(`{"channelType":"web"}`, createdAt(2), func(t *Task) { t.Status = TaskCompleted })}, "team/sms"},
	} {
		var policies []Policy
		for _, p := range test.policies {
			policies = append(policies, compiled(t, p))
		}
		slices.SortFunc(policies, Compare)
		got := ""
		owner, err := Owner(policies, test.tasks, at(5))
		if owner >= 0 {
			got = policies[owner].Name
		}
		if err != nil {
			got += " cannot tell"
		}
		if got != test.want {
			t.Errorf("%s: %q owns, want %q", sentence, got, test.want)
		}
	}
}

func TestRelate(t *testing.T) {
	channels := func(names ...string) func(*v1alpha1.InactivityPolicy) {
		return selects(v1alpha1.Selector{Channels: names})
	}
	queues := func(names ...string) func(*v1alpha1.InactivityPolicy) {
		return selects(v1alpha1.Selector{TaskQueues: names})
	}
	expression := func(text string) func(*v1alpha1.InactivityPolicy) {
		return selects(v1alpha1.Selector{Expression: text})
	}
	all := func(*v1alpha1.InactivityPolicy) {}
	for sentence, test := range map[string]struct {
		this, other func(*v1alpha1.InactivityPolicy)
		want        string
	}{
		"two policies for all conversations":           {all, all, "overlaps, covers"},
		"one for all covers one for a channel":         {channels("sms"), all, "overlaps, covers"},
		"one for a channel does not cover one for all": {all, channels("sms"), "overlaps"},
		"different channels do not overlap":            {channels("sms"), channels("web"), ""},
		"channels are compared as they are matched":    {channels("SMS"), channels("sms", "web"), "overlaps, covers"},
		"different queues do not overlap":              {queues("A"), queues("B"), ""},
		"a queue's SID may be the queue of a name":     {queues("A"), queues("WQ0123456789abcdef0123456789abcdef"), "overlaps"},
		"two SIDs are two queues":                      {queues("WQ1123456789abcdef0123456789abcdef"), queues("WQ0123456789abcdef0123456789abcdef"), ""},
		"an expression may be true for anything":       {all, expression("task.priority > 1"), "overlaps"},
		"the same expression selects the same":         {expression("task.priority > 1"), expression("task.priority > 1"), "overlaps, covers"},
		"one for all covers one with an expression":    {expression("task.priority > 1"), all, "overlaps, covers"},
		"a channel and a queue may meet":               {channels("sms"), queues("A"), "overlaps"},
	} {
		relation := compiled(t, named("this", 0, 0, test.this)).Relate(compiled(t, named("other", 0, 1, test.other)))
		var got []string
		if relation.Overlaps {
			got = append(got, "overlaps")
		}
		if relation.Covers && relation.Overlaps {
			got = append(got, "covers")
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: the other one %q, want %q", sentence, strings.Join(got, ", "), test.want)
		}
	}
	for want, other := range map[string]*v1alpha1.InactivityPolicy{
		"true: priority 5 over 0":   named("high", 0, 5),
		"false: priority 0 over -5": named("low", 0, -5),
		"true: older":               named("zz", time.Minute, 0),
		"false: older":              named("aa", -time.Minute, 0),
		"true: first by name":       named("aa", 0, 0),
	} {
		relation := compiled(t, written()).Relate(compiled(t, other))
		got := map[bool]string{true: "true: ", false: "false: "}[relation.Precedes] + relation.Why
		if got != want {
			t.Errorf("%s precedes %s, want %s", other.Name, got, want)
		}
	}
}
