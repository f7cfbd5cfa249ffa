package controllers_test

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func TestASelectorChoosesConversationsByTheirTaskAndNothingIsWrittenToOthers(t *testing.T) {
	expression := func(text string) func(string) v1alpha1.Selector {
		return func(string) v1alpha1.Selector { return v1alpha1.Selector{Expression: text} }
	}
	vip := map[string]any{"vip": true}
	for by, test := range map[string]struct {
		selector      func(salesSID string) v1alpha1.Selector
		chosen, other twiliosim.Start
	}{
		"channel, in any letter case": {
			func(string) v1alpha1.Selector { return v1alpha1.Selector{Channels: []string{"WhatsApp", "web"}} },
			twiliosim.Start{Channel: "whatsapp"}, twiliosim.Start{Channel: "sms"},
		},
		"task queue by name": {
			func(string) v1alpha1.Selector { return v1alpha1.Selector{TaskQueues: []string{"Sales"}} },
			twiliosim.Start{Queue: "Sales"}, twiliosim.Start{},
		},
		"task queue by SID": {
			func(sid string) v1alpha1.Selector { return v1alpha1.Selector{TaskQueues: []string{sid}} },
			twiliosim.Start{Queue: "Sales"}, twiliosim.Start{},
		},
		"channel and queue together": {
			func(string) v1alpha1.Selector {
				return v1alpha1.Selector{Channels: []string{"web"}, TaskQueues: []string{"Sales"}}
			},
			twiliosim.Start{Channel: "web", Queue: "Sales"}, twiliosim.Start{Queue: "Sales"},
		},
		"an expression over an attribute": {
			expression("task.attributes.vip == true"),
			twiliosim.Start{Attributes: vip}, twiliosim.Start{Attributes: map[string]any{"vip": "true"}},
		},
		"an expression over an attribute that most tasks lack": {
			expression("task.attributes.vip != true"),
			twiliosim.Start{}, twiliosim.Start{Attributes: vip},
		},
		"an expression that asks whether there is an attribute": {
			expression("!has(task.attributes.vip)"),
			twiliosim.Start{}, twiliosim.Start{Attributes: map[string]any{"vip": nil}},
		},
		"an expression over the task's priority": {
			expression("task.priority >= 10"),
			twiliosim.Start{Priority: 10}, twiliosim.Start{Priority: 9},
		},
		"an expression over queue and channel": {
			expression("task.queue.startsWith('Sal') && task.channel == 'web'"),
			twiliosim.Start{Channel: "web", Queue: "Sales"}, twiliosim.Start{Channel: "web"},
		},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			salesSID := w.twilio.AddTaskQueue("Sales")
			w.startOperator()
			w.inForce(selecting(test.selector(salesSID)))
			other := w.accepted(test.other)
			chosen := w.armed(test.chosen)
			w.keepUp(timeout)
			w.ends(chosen)
			w.keepUp(timeout)
			w.neverTouched(other)
		})
	}
}

func TestAnExpressionOverTheTasksAgeTakesAConversationUpOnceItIsOldEnough(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, selecting(v1alpha1.Selector{Expression: "task.age >= 1500"}))
	started := w.accepted(twiliosim.Start{})
	w.keepUp(25*time.Minute - 2*time.Second)
	w.neverTouched(started)
	// It has been idle for longer than the timeout by then.
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestOfTwoPoliciesTheOneWithTheHigherPriorityOwnsTheConversation(t *testing.T) {
	t.Parallel()
	w, _, plain := start(t, saying("plain"))
	urgent := w.also("urgent", saying("urgent"), ranked(10))
	w.eventuallyCondition(plain, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	w.eventuallyOverlaps(plain, urgent)
	w.Expect(w.conditionMessage(plain, v1alpha1.ConditionReady)).To(containsAll("Standing by", w.namespace+"/urgent (priority 10 over 0)"))
	w.Expect(w.conditionMessage(plain, v1alpha1.ConditionOverlapping)).To(containsAll("yields to " + w.namespace + "/urgent (priority 10 over 0)"))
	w.Expect(w.conditionMessage(urgent, v1alpha1.ConditionOverlapping)).To(containsAll("takes precedence over " + w.namespace + "/plain (priority 10 over 0)"))
	w.Expect(w.condition(urgent, v1alpha1.ConditionReady)).To(gomega.Equal("True/Succeeded"))

	started := w.acceptedConversation()
	w.keepUp(timeout)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"urgent"}))

	w.withdraw(urgent)
	w.eventuallyCondition(plain, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
	w.Expect(w.conditionTypes(plain)).NotTo(gomega.ContainElement(v1alpha1.ConditionOverlapping))
}

func TestAPolicyThatIsRaisedAboveAnotherTakesItsConversationsAndGivesThemTheWholeTimeout(t *testing.T) {
	t.Parallel()
	w, _, plain := start(t, saying("plain"))
	urgent := w.also("urgent", saying("urgent"), ranked(10))
	w.eventuallyCondition(plain, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.patch(plain, func(p *v1alpha1.InactivityPolicy) { p.Spec.Priority = 20 })
	w.eventuallyCondition(plain, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
	w.eventuallyCondition(urgent, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	raised := w.clock.Now()
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"plain"}))
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", raised.Add(timeout).Truncate(time.Second)))
}

func TestOfTwoPoliciesWithTheSamePriorityTheOlderOwnsTheConversation(t *testing.T) {
	t.Parallel()
	w, _, older := start(t, saying("older"))
	w.untilYounger(older)
	younger := w.also("a-younger", saying("younger"))
	w.eventuallyCondition(younger, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	w.eventuallyOverlaps(older, younger)
	w.Expect(w.conditionMessage(younger, v1alpha1.ConditionOverlapping)).To(containsAll("yields to " + w.namespace + "/plain (older)"))
	w.Expect(w.conditionMessage(older, v1alpha1.ConditionOverlapping)).To(containsAll("takes precedence over " + w.namespace + "/a-younger (older)"))

	started := w.acceptedConversation()
	w.keepUp(timeout)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"older"}))
}

// untilYounger waits until what is created is younger than the policy: the API server dates in whole seconds.
func (w *world) untilYounger(than *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	created := w.get(than).CreationTimestamp.Unix()
	w.Eventually(func() int64 { return time.Now().Unix() }).Should(gomega.BeNumerically(">", created))
}

func TestPoliciesThatOverlapInPartAreBothInForceAndSayWhoTakesPrecedence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.twilio.AddTaskQueue("Sales")
	w.startOperator()
	texts := w.inForce(saying("texts"), selecting(v1alpha1.Selector{Channels: []string{"sms"}}))
	sales := w.also("sales", saying("sales"), ranked(5), selecting(v1alpha1.Selector{TaskQueues: []string{"Sales"}}))
	w.eventuallyOverlaps(texts, sales)
	w.Expect(w.conditionMessage(texts, v1alpha1.ConditionOverlapping)).To(containsAll("yields to " + w.namespace + "/sales (priority 5 over 0)"))
	w.Expect(w.conditionMessage(sales, v1alpha1.ConditionOverlapping)).To(containsAll("takes precedence over " + w.namespace + "/plain (priority 5 over 0)"))
	for _, policy := range []*v1alpha1.InactivityPolicy{texts, sales} {
		w.Expect(w.condition(policy, v1alpha1.ConditionReady)).To(gomega.Equal("True/Succeeded"))
	}

	both := w.armed(twiliosim.Start{Queue: "Sales"})
	onlySales := w.armed(twiliosim.Start{Channel: "web", Queue: "Sales"})
	onlyTexts := w.armed(twiliosim.Start{})
	nobodys := w.accepted(twiliosim.Start{Channel: "web"})
	w.keepUp(timeout)
	for started, want := range map[twiliosim.Started]string{both: "sales", onlySales: "sales", onlyTexts: "texts"} {
		w.ends(started)
		w.Expect(w.notices(started)).To(gomega.Equal([]string{want}))
	}
	w.neverTouched(nobodys)
}

func TestPoliciesForDifferentChannelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	w, _, texts := start(t, selecting(v1alpha1.Selector{Channels: []string{"sms"}}))
	web := w.also("web", ranked(5), selecting(v1alpha1.Selector{Channels: []string{"web"}}))
	for _, policy := range []*v1alpha1.InactivityPolicy{texts, web} {
		policyWorld{world: w}.look(policy)
		w.Expect(w.condition(policy, v1alpha1.ConditionReady)).To(gomega.Equal("True/Succeeded"))
		w.Expect(w.conditionTypes(policy)).NotTo(gomega.ContainElement(v1alpha1.ConditionOverlapping))
	}
}

func TestASuspendedPolicyStillKeepsItsConversationsFromOthers(t *testing.T) {
	t.Parallel()
	w, _, plain := start(t, saying("plain"))
	texts := w.also("texts", ranked(10), selecting(v1alpha1.Selector{Channels: []string{"sms"}}))
	w.eventuallyOverlaps(plain, texts)
	w.patch(texts, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
	w.eventuallyCondition(texts, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSuspended)
	kept := w.accepted(twiliosim.Start{})
	w.plainGoesOn(twiliosim.Start{Channel: "web"}, "plain")
	w.neverTouched(kept)
}

// plainGoesOn shows that another conversation is ended with a text, and lets a second timeout pass.
func (w *world) plainGoesOn(start twiliosim.Start, text string) {
	w.t.Helper()
	control := w.armed(start)
	w.keepUp(timeout)
	w.ends(control)
	w.Expect(w.notices(control)).To(gomega.Equal([]string{text}))
	w.keepUp(timeout)
}

func TestAConversationForWhichAnExpressionFailsIsLeftAloneUntilItsTaskIsMended(t *testing.T) {
	t.Parallel()
	w, _, plain := start(t, saying("plain"))
	scored := w.also("scored", saying("scored"), ranked(10), selecting(v1alpha1.Selector{Expression: "task.attributes.score > 5"}))
	w.eventuallyOverlaps(plain, scored)
	const value = "canary-score"
	failing := w.accepted(twiliosim.Start{Attributes: map[string]any{"score": value}})
	w.plainGoesOn(twiliosim.Start{Attributes: map[string]any{"score": 1}}, "plain")
	w.neverTouched(failing)
	note := w.warningEvent(scored, "ExpressionFailed")
	w.Expect(note).To(containsAll(failing.ConversationSID, failing.TaskSID, "has()"))
	w.Expect(note).NotTo(gomega.ContainSubstring(value), "an event tells no value of an attribute")

	w.do(w.twilio.SetTaskAttribute(failing.TaskSID, "score", 9))
	w.ends(failing)
	w.Expect(w.notices(failing)).To(gomega.Equal([]string{"scored"}))
}

// unusable are edits that the schema lets pass and the operator cannot use, by the field that it names then.
var unusable = map[string]edit{
	"spec.selector.expression": func(spec *v1alpha1.InactivityPolicySpec) { spec.Selector.Expression = "task.atributes.vip == true" },
	"spec.message":             saying("Goodbye {{.Custmer.Name}}"),
	`spec.translations["es"]`:  func(spec *v1alpha1.InactivityPolicySpec) { spec.Translations = v1alpha1.Translations{"es": "{{if}}"} },
	"spec.warnings[0].message": warning("5m", "{{.Remaining"),
	"spec.hours.timeZone":      openAllDay(func(hours *v1alpha1.Hours) { hours.TimeZone = "Europe/Atlantis" }),
	"spec.replyWindow.contentVariables[\"1\"]": func(spec *v1alpha1.InactivityPolicySpec) {
		spec.ReplyWindow = &v1alpha1.ReplyWindow{
			Outside: v1alpha1.OutsideSendTemplate, ContentSID: contentSID, ContentVariables: map[string]v1alpha1.ContentVariable{"1": "{{.Now}}"},
		}
	},
}

func TestAPolicyThatIsEditedIntoAnUnusableOneNamesTheFieldAndKeepsItsConversationsUntilItIsMended(t *testing.T) {
	for field, spoil := range unusable {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w, _, texts := start(t, saying("texts"), ranked(10), selecting(v1alpha1.Selector{Channels: []string{"sms"}}))
			rest := w.also("rest", saying("rest"))
			w.eventuallyOverlaps(texts, rest)
			started := w.acceptedConversation()
			web := w.armed(twiliosim.Start{Channel: "web"})
			good := w.get(texts).Spec

			w.patch(texts, func(p *v1alpha1.InactivityPolicy) { spoil(&p.Spec) })
			w.eventuallyCondition(texts, v1alpha1.ConditionStalled, "True/InvalidSpec")
			w.Expect(w.condition(texts, v1alpha1.ConditionReady)).To(gomega.Equal("False/InvalidSpec"))
			w.Expect(w.conditionMessage(texts, v1alpha1.ConditionStalled)).To(gomega.HavePrefix(field))
			version, written := w.get(texts).ResourceVersion, len(w.twilio.Writes())
			w.keepUp(timeout)
			w.ends(web)
			w.keepUp(timeout)
			w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty(), "nobody acts on the conversation")
			w.Expect(w.get(texts).ResourceVersion).To(gomega.Equal(version), "the operator does not try again and again")

			w.patch(texts, func(p *v1alpha1.InactivityPolicy) { p.Spec = good })
			w.eventuallyReady(texts)
			mended := w.clock.Now()
			w.keepUp(timeout)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{"texts"}))
			w.Expect(w.said(started)[0].Created).NotTo(gomega.BeTemporally("<", mended.Add(timeout).Truncate(time.Second)))
		})
	}
}

func TestAPolicyThatIsOutOfForceFromTheBeginningKeepsItsConversationsFromOthers(t *testing.T) {
	for why, test := range map[string]struct {
		spoil edit
		ready string
		told  string
	}{
		"unusable":  {unusable["spec.message"], "False/InvalidSpec", "texts (priority 10 over 0, cannot be used as it is written)"},
		"suspended": {func(spec *v1alpha1.InactivityPolicySpec) { spec.Suspend = true }, "True/Suspended", "texts (priority 10 over 0, suspended)"},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			w, _, rest := start(t, saying("rest"))
			texts := w.policy("texts", ranked(10), selecting(v1alpha1.Selector{Channels: []string{"sms"}}), test.spoil)
			w.create(texts)
			w.eventuallyCondition(texts, v1alpha1.ConditionReady, test.ready)
			w.eventuallyOverlaps(rest)
			w.Expect(w.conditionMessage(rest, v1alpha1.ConditionOverlapping)).To(containsAll("yields to " + w.namespace + "/" + test.told))
			kept := w.accepted(twiliosim.Start{})
			w.plainGoesOn(twiliosim.Start{Channel: "web"}, "rest")
			w.neverTouched(kept)
		})
	}
}

func TestAConversationWhoseTaskIsChangedMovesToThePolicyThatSelectsItNow(t *testing.T) {
	for name, test := range map[string]struct {
		vip  bool
		want string
		at   time.Duration
	}{
		"to one with a shorter timeout": {vip: true, want: "vip", at: 5 * time.Minute},
		"to one with a longer timeout":  {vip: false, want: "plain", at: timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, plain := start(t, saying("plain"))
			vip := w.also("vip", saying("vip"), ranked(10), timingOut("5m"), selecting(v1alpha1.Selector{Expression: "task.attributes.vip == true"}))
			w.eventuallyOverlaps(plain, vip)
			started := w.armed(twiliosim.Start{Attributes: map[string]any{"vip": !test.vip}})
			begun := w.clock.Now()
			w.keepUp(2 * time.Minute)
			w.do(w.twilio.SetTaskAttribute(started.TaskSID, "vip", test.vip))
			w.keepUp(test.at - 2*time.Minute - 2*time.Second)
			w.Expect(w.notices(started)).To(gomega.BeEmpty())
			w.keepUp(2 * time.Second)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{test.want}))
			w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", begun.Add(test.at).Truncate(time.Second)), "the clock goes on")
		})
	}
}

func TestAConversationWhoseTaskIsChangedSoThatNoPolicySelectsItIsLeftAlone(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warning("5m", "Still there?"), selecting(v1alpha1.Selector{Expression: "task.attributes.handedOver != true"}))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.eventuallySaid(started, "Still there?")
	w.do(w.twilio.SetTaskAttribute(started.TaskSID, "handedOver", true))
	written := len(w.twilio.Writes())
	w.keepUp(3 * timeout)
	w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestAnEditedTextIsSentInTheSilenceThatIsUnderWay(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	started := w.acceptedConversation()
	begun := w.clock.Now()
	w.keepUp(10 * time.Minute)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Message = "The new text." })
	w.eventuallyReady(policy)
	w.keepUp(timeout - 10*time.Minute - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.eventuallySaid(started, "The new text.")
	w.ends(started)
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally("<=", begun.Add(timeout+promised)), "the clock goes on")
}

func TestWarningsThatAreEditedCountInTheSilenceThatIsUnderWay(t *testing.T) {
	for name, test := range map[string]struct {
		before, after []edit
		want          []string
	}{
		"added":   {nil, []edit{warning("5m", "Still there?")}, []string{"Still there?", notice}},
		"removed": {[]edit{warning("5m", "Still there?")}, nil, []string{notice}},
		"moved":   {[]edit{warning("10m", "Still there?")}, []edit{warning("2m", "Still there?")}, []string{"Still there?", notice}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t, test.before...)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.keepUp(4 * time.Minute)
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) {
				p.Spec.Warnings = nil
				for _, change := range test.after {
					change(&p.Spec)
				}
			})
			w.eventuallyReady(policy)
			w.keepUp(timeout - 4*time.Minute)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal(test.want))
			for _, message := range w.said(started) {
				w.Expect(message.Created).To(gomega.BeTemporally(">=", begun.Add(10*time.Minute).Truncate(time.Second)))
			}
			w.Expect(w.said(started)[len(test.want)-1].Created).To(gomega.BeTemporally(">=", begun.Add(timeout).Truncate(time.Second)))
		})
	}
}

func TestAnEditedTimeoutGivesEverySilenceTheWholeNewOne(t *testing.T) {
	for _, edited := range []v1alpha1.Duration{"7m", "20m"} {
		t.Run(string(edited), func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t)
			started := w.acceptedConversation()
			w.keepUp(10 * time.Minute)
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = edited })
			w.eventuallyReady(policy)
			now := w.clock.Now()
			length, err := edited.Parse()
			w.do(err)
			w.keepUp(length - 2*time.Second)
			w.Expect(w.notices(started)).To(gomega.BeEmpty())
			w.keepUp(2 * time.Second)
			w.ends(started)
			w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", now.Add(length).Truncate(time.Second)))
		})
	}
}

func TestAPolicyThatIsDeletedDuringASilenceEndsAndMessagesNobody(t *testing.T) {
	for when, test := range map[string]struct {
		after time.Duration
		told  []string
	}{
		"before the warning": {9 * time.Minute, nil},
		"after the warning":  {10 * time.Minute, []string{"Still there?"}},
	} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t, warning("5m", "Still there?"))
			started := w.acceptedConversation()
			w.keepUp(test.after)
			w.eventuallySaid(started, test.told...)
			w.withdraw(policy)
			written := len(w.twilio.Writes())
			w.keepUp(3 * timeout)
			w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
			w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
			w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
		})
	}
}

func TestAPolicyThatTakesADeletedOnesPlaceStartsItsClockAnewAlsoAfterAWarning(t *testing.T) {
	t.Parallel()
	w, _, owner := start(t, saying("owner"), warning("5m", "Still there?"))
	younger := w.also("younger", saying("younger"), timingOut("4m"))
	w.eventuallyCondition(younger, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.eventuallySaid(started, "Still there?")
	w.keepUp(3 * time.Minute)
	w.withdraw(owner)
	w.eventuallyCondition(younger, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
	taken := w.clock.Now()
	w.keepUp(4*time.Minute - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?"}))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", "younger"}))
	w.Expect(w.said(started)[1].Created).To(gomega.BeTemporally(">=", taken.Add(4*time.Minute).Truncate(time.Second)))
}

func TestWhenAPolicyThatTookPrecedenceInPartIsDeletedItsConversationsGetTheWholeTimeoutOfTheNext(t *testing.T) {
	t.Parallel()
	w, _, plain := start(t, saying("plain"))
	vip := w.also("vip", saying("vip"), ranked(10), timingOut("2h"), selecting(v1alpha1.Selector{Expression: "task.attributes.vip == true"}))
	w.eventuallyOverlaps(plain, vip)
	started := w.armed(twiliosim.Start{Attributes: map[string]any{"vip": true}})
	w.keepUp(30 * time.Minute)
	w.withdraw(vip)
	w.Eventually(func() []string { return w.conditionTypes(plain) }).ShouldNot(gomega.ContainElement(v1alpha1.ConditionOverlapping))
	deleted := w.clock.Now()
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"plain"}))
	w.Expect(w.said(started)[0].Created).To(gomega.BeTemporally(">=", deleted.Add(timeout).Truncate(time.Second)))
}

func TestACustomerWhoWasWarnedIsNotWarnedAgainInTheSameSilenceAlsoWhenItsClockStartsAnew(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, warning("5m", "Still there?"))
	started := w.acceptedConversation()
	w.keepUp(10 * time.Minute)
	w.eventuallySaid(started, "Still there?")
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "20m" })
	w.eventuallyReady(policy)
	w.keepUp(20*time.Minute - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
}

// cutOffAfterNotice lets the timeout pass, and the ending of a conversation come as far as the notice: nothing that ends its
// task reaches Twilio until mend is called.
func (w *world) cutOffAfterNotice(started twiliosim.Started) (mend func()) {
	w.t.Helper()
	var tried atomic.Bool
	cut := func(r *http.Request, form url.Values) bool {
		finishes := channelWrite.is(r, form)
		if finishes {
			tried.Store(true)
		}
		return !finishes
	}
	w.onRequest.Store(&cut)
	w.keepUp(timeout)
	w.eventuallySaid(started, notice)
	w.Eventually(tried.Load).Should(gomega.BeTrue(), "the ending is cut off")
	return func() { w.onRequest.Store(nil) }
}

func TestAnEndingWhoseNoticeIsOutIsCarriedThroughByThePolicyThatTakesTheDeletedOnesPlace(t *testing.T) {
	t.Parallel()
	w, _, owner := start(t)
	next := w.also("younger", saying("younger"), timingOut("2h"))
	w.eventuallyCondition(next, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	started := w.acceptedConversation()
	mend := w.cutOffAfterNotice(started)
	w.withdraw(owner)
	w.eventuallyCondition(next, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
	mend()
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "the customer is told once")
	w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
}

func TestAnEndingWhoseNoticeIsOutIsCarriedThroughAlthoughThePolicyIsEdited(t *testing.T) {
	for what, change := range map[string]func(*world, *v1alpha1.InactivityPolicy){
		"a new text": func(w *world, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Message = "Another text." })
		},
		"a longer timeout": func(w *world, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "2h" })
		},
		"suspended and resumed": func(w *world, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
			w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSuspended)
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = false })
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t)
			started := w.acceptedConversation()
			mend := w.cutOffAfterNotice(started)
			change(w, policy)
			w.eventuallyReady(policy)
			mend()
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "the customer is told once")
		})
	}
}

func TestAnEndingWhoseNoticeIsOutStopsWhenTheLastPolicyIsDeletedAndGoesOnUnderANewOne(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	started := w.acceptedConversation()
	mend := w.cutOffAfterNotice(started)
	w.withdraw(policy)
	mend()
	written := len(w.twilio.Writes())
	w.keepUp(timeout)
	w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"), "the agent has the conversation")

	w.also("another", saying("another"), timingOut("2h"))
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "the customer is told once")
}

func TestAnEndingWhoseNoticeWasAnsweredWhileThereWasNoPolicyIsNotTakenUpAgain(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	started := w.acceptedConversation()
	mend := w.cutOffAfterNotice(started)
	w.withdraw(policy)
	mend()
	w.says(started, twiliosim.Customer, "I am here!")
	w.also("another", saying("another"), timingOut("2h"))
	w.leap(2*time.Hour - 2*time.Second)
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice, "another"}))
}
