package main

// ofConversations are what seeds with customers have to notice.
var ofConversations = []mutant{
	{
		"no policy says that Twilio fails", "controllers/outages.go",
		"	case now.Sub(o.since) >= degradedAfter:", "	case false:",
	},
	{
		"a policy goes on saying that Twilio fails", "controllers/outages.go",
		"		delete(o.ongoing, done)", "		_ = failed",
	},
	{
		"a limit limits nothing", "controllers/conversation_limits.go",
		"	case ahead < free:", "	case true:",
	},
	{
		"every replica ends conversations under a limit", "controllers/conversation_limits.go",
		"	if !p.reconciler.isLeader() {\n		return waiting\n	}\n", "",
	},
	{
		"the event of an accept wakes nobody", "internal/receiver/taskrouter.go",
		"	if kind != eventAccepted {", "	if kind != \"\" {",
	},
	{
		"no callback can be verified", "internal/receiver/handler.go",
		"	if !h.secrets.Loaded() {", "	if h.secrets.Loaded() {",
	},
	{
		"no workspace has a policy", "internal/receiver/handler.go",
		"	if len(policies) == 0 {", "	if len(policies) < 100 {",
	},
	{
		"the conversation is left open when its tasks have ended", "controllers/conversation_act.go",
		"	_, err := p.client.UpdateConversation(ctx, p.key.ConversationSID, twilio.ConversationUpdate{State: string(inactivity.ConversationClosed)})", "	var err error",
	},
	{
		"an ending that was begun is not carried through", "internal/inactivity/ending.go",
		"	case !begun:", "	case !begun || true:",
	},
	{
		"no claim: the task is written whatever its version", "internal/twilio/tasks.go",
		"params.SetIfMatch(etag)", "_ = etag",
	},
	{
		"the lease of a claim is over at once", "internal/inactivity/decide.go",
		"ClaimLease = 30 * time.Second", "ClaimLease = -time.Second",
	},
	{
		"no marker check: the operator's own messages are not recognised", "internal/inactivity/authors.go",
		"return message.Marker != nil && (", "return message.Marker != nil && message.SID == \"\" && (",
	},
	{
		"no look again after the notice", "controllers/conversation_act.go",
		"	case err == nil:\n		p.lookAtMessagesAgain()\n		return nil",
		"	case err == nil:\n		marker := p.marker(decision)\n		p.snapshot.Messages = &inactivity.Messages{Newest: []inactivity.Message{{Marker: &marker, Author: p.policy.Author, At: p.snapshot.Now}}}\n		return nil",
	},
	{
		"wrong turn: who owes the reply does not matter", "internal/inactivity/steps.go",
		"if s.policy.OnlyCustomers && s.silence.owes != TurnCustomer {", "if false {",
	},
	{
		"the accept does not count", "internal/inactivity/authors.go",
		"if anchor != nil && !anchor.At.Before(newest.Accepted.At) {", "if anchor != nil {",
	},
	{
		"no grace: silences from before the policy count", "internal/inactivity/steps.go",
		"if p.Existing != v1alpha1.ExistingImmediate {", "if false {",
	},
	{
		"a policy that was edited keeps counting from before", "controllers/inactivitypolicy_status.go",
		"if status.EffectiveSince == nil || status.EffectiveRevision != scope.overlap.revision {", "if status.EffectiveSince == nil {",
	},
	{
		"a warning does not put off the end", "internal/inactivity/steps.go",
		"end.at = later(end.at, s.policy.add(message.At, seconds(message.Marker.BeforeSeconds)))", "_ = message",
	},
	{
		"a hold holds nothing", "internal/inactivity/hold.go",
		`if p.HoldAttribute == "" {
		return hold{}, 0`, `if true {
		return hold{}, 0`,
	},
	{
		"a task that waits for an agent does not matter", "internal/inactivity/decide.go",
		"case len(withStatus(snapshot.Tasks, TaskPending, TaskReserved)) > 0:", "case false:",
	},
	{
		"a policy that observes acts", "internal/inactivity/policy.go",
		"Observe:           policy.Observes(),", "",
	},
	{
		"the newest policy takes precedence", "internal/inactivity/precedence.go",
		"cmp.Compare(b.Priority, a.Priority)", "cmp.Compare(a.Priority, b.Priority)",
	},
	{
		"attributes of others are lost", "internal/inactivity/attributes.go",
		"	fields[AttributeKey] = entry\n", "	fields = map[string]json.RawMessage{AttributeKey: entry, \"conversationSid\": fields[\"conversationSid\"]}\n",
	},
	{
		"messages whose answer is lost are sent again", "internal/twilio/operations.go",
		`opCreateMessage = operation{"CreateMessage", never, maxResourceBody}`, `opCreateMessage = operation{"CreateMessage", idempotent, maxResourceBody}`,
	},
	{
		"no sweep", "controllers/sweeper.go",
		"	var found atomic.Int64\n", "	var found atomic.Int64\n	byWorkspace = nil\n",
	},
	{
		"any signature will do", "internal/signature/signature.go",
		`verified[i] = match == 1 && token != ""`, `verified[i] = match >= 0 && token != ""`,
	},
	{
		"no re-arm: a call that comes early is the last one", "internal/inactivity/decide.go",
		"	case conversation.State == ConversationInactive:\n		arm.Act, arm.Reason = ActRearm, ReasonWokenEarly\n		return arm\n",
		"	case conversation.State == ConversationInactive:\n		return waiting\n",
	},
	{
		"time counts while it is closed", "internal/inactivity/policy.go",
		"p.AccrueOpen = hours.Clock == v1alpha1.ClockOpenHours", "p.AccrueOpen = false",
	},
	{
		"nothing waits for the opening", "internal/inactivity/steps.go",
		"next.kind != \"\" && s.policy.Closed == v1alpha1.ClosedDefer", "false && s.policy.Closed == v1alpha1.ClosedDefer",
	},
	{
		"no look again before an ending without a notice", "controllers/conversation_act.go",
		"	if err := p.setTask(claimed); err != nil {\n		return err\n	}\n	p.lookAtMessagesAgain()\n",
		"	if err := p.setTask(claimed); err != nil {\n		return err\n	}\n	if decision.Act != inactivity.ActClaim {\n		p.lookAtMessagesAgain()\n	}\n",
	},
	{
		"the notice of an earlier silence counts", "internal/inactivity/ending.go",
		"	if sent := s.sent(StepNotice, s.episode); len(sent) > 0 {\n		return sent[0].Marker\n	}\n	return nil\n",
		"	for _, message := range s.snapshot.Messages.Newest {\n		if message.Marker == nil {\n			break\n		}\n		if message.Marker.Step == StepNotice {\n			return message.Marker\n		}\n	}\n	return nil\n",
	},
	{
		"a timer's callback is refused", "internal/receiver/conversations.go",
		`!isSID("CH", conversation) || state == "" {`, `!isSID("CH", conversation) || state == stateInactive {`,
	},
	{
		"a policy that says WrapUp closes", "internal/inactivity/ending.go",
		"WrapUp: policy.Action == v1alpha1.ActionWrapUp}", "WrapUp: false}",
	},
	{
		"a policy that says Notify closes", "internal/inactivity/ending.go",
		"onlyNotify := policy.Action == v1alpha1.ActionNotify", "onlyNotify := false",
	},
	{
		"a hold after the notice holds nothing", "internal/inactivity/decide.go",
		"	held, need := policy.holdOf(snapshot, live)\n	if held.held {",
		"	held, need := policy.holdOf(snapshot, live)\n	if claim := newest.Attributes.Claim; held.held && (claim == nil || claim.Step != StepNotice) {",
	},
	{
		"a warning says what the notice says", "internal/inactivity/steps.go",
		"candidate := step{kind: StepWarning, text: warning.Text,", "candidate := step{kind: StepWarning, text: s.policy.Notice,",
	},
	{
		"nobody is warned", "internal/inactivity/steps.go",
		`if warning := s.warning(next.at); warning.kind != "" {`, `if warning := s.warning(next.at); false {`,
	},
	{
		"nobody is told who waits", "internal/inactivity/steps.go",
		`if text := s.holdingText(); text.kind != "" &&`, `if text := s.holdingText(); false &&`,
	},
	{
		"the previous token is not accepted", "internal/credentials/credentials.go",
		"return []string{c.Twilio.AuthToken, c.PreviousAuthToken}", "return []string{c.Twilio.AuthToken}",
	},
	{
		"Secrets are only read at the start", "internal/credentials/runnable.go",
		"refreshInterval = time.Minute", "refreshInterval = 1000 * time.Hour",
	},
	{
		"a callback that is not signed is taken", "internal/receiver/authenticate.go",
		`		return signer{}, h.forbid(metrics.CauseMissing, "there is no signature")`,
		"		account, _ := single(form, \"AccountSid\")\n		return signer{account: account}, nil",
	},
	{
		"a callback of another account is taken", "internal/receiver/authenticate.go",
		"	by, ok := ring.signer(verified, accountSID)\n", "	by, ok := signer{account: accountSID, token: ring.tokens[slices.Index(verified, true)]}, true\n",
	},
	{
		"the Host header says what was signed", "internal/receiver/authenticate.go",
		"signed := h.base + r.URL.EscapedPath()[len(h.prefix):]", `signed := "https://" + r.Host + r.URL.EscapedPath()`,
	},
	{
		"a callback that is refused wakes the operator up", "internal/receiver/handler.go",
		"	if refusal != nil {\n		return *refusal\n	}\n	if formError != nil {",
		"	if refusal != nil {\n		if said := to.decode(form); said.conversationSID != \"\" {\n			h.queue.Enqueue(workspaceSID, said.conversationSID, said.accepted)\n		}\n		return *refusal\n	}\n	if formError != nil {",
	},
}

// ofCallbacks are what seeds of admins and workspaces have to notice.
var ofCallbacks = []mutant{
	{
		"a callback is put back, and its record is kept", "controllers/inactivitypolicy_callback.go",
		"	return r.forgetOfOthers(ctx, policy, holders, &workspace, accountSID)", "	_ = holders\n	return nil",
	},
	{
		"the callback is not put back", "controllers/inactivitypolicy_callback.go",
		"		if _, err := twilioClient.UpdateWorkspaceCallback(ctx, record.WorkspaceSID, record.URL, record.Filter); err != nil {\n			return err\n		}\n", "",
	},
	{
		"what was there before is not recorded", "controllers/inactivitypolicy_record.go",
		"		changed.Annotations[v1alpha1.AnnotationPreviousCallback] = string(text)\n", "		_ = text\n",
	},
	{
		"the callback of somebody else is taken without being asked to", "controllers/inactivitypolicy_callback.go",
		"	if taken && policy.OnConflict() == v1alpha1.ConflictRefuse {", "	if false {",
	},
	{
		"a record that is out of date comes back", "controllers/inactivitypolicy_callback.go",
		"	if err := r.forget(ctx, scope.policy, holders, workspace, scope.accountSID); err != nil {", "	if err := error(nil); err != nil {",
	},
	{
		"the record of a policy that has moved is lost", "controllers/inactivitypolicy_record.go",
		"	return slices.Concat(siblings, moved), nil", "	_ = moved\n	return siblings, nil",
	},
	{
		"a callback that was changed is not set again", "controllers/inactivitypolicy_callback.go",
		"	if workspace.EventCallbackURL == wanted && filter == workspace.EventsFilter {",
		"	if before := scope.policy.Status.Workspace; before != nil && before.CallbackURL == wanted || workspace.EventCallbackURL == wanted && filter == workspace.EventsFilter {",
	},
	{
		"the callback is written at each look", "controllers/inactivitypolicy_callback.go",
		"	if workspace.EventCallbackURL == wanted && filter == workspace.EventsFilter {", "	if false {",
	},
	{
		"the heirs get no record", "controllers/inactivitypolicy_callback.go",
		"		return r.handOver(ctx, remaining, record)\n", "		return nil\n",
	},
	{
		"forwarded events keep the signature for the operator's URL", "internal/forward/forward.go",
		"signature.Compute(event.Token, to.signed, event.Form)", "event.Header.Get(signature.Header)",
	},
	{
		"events that others did not ask for are forwarded", "internal/receiver/forward.go",
		"if kind, _ := eventType(form); !record.Passes(kind) {", "if kind, _ := eventType(form); kind == \"\" {",
	},
	{
		"events of a task are forwarded in any order", "internal/forward/forward.go",
		"enqueue(taken, laneOf(event.Form), sidOf(event.Form))", "enqueue(taken, sidOf(event.Form), sidOf(event.Form))",
	},
	{
		"a forwarding that fails is not tried again", "internal/forward/forward.go",
		"if time.Since(it.arrived)+pause <= patience {", "if pause < 0 {",
	},
	{
		"an event that Twilio repeats is forwarded again", "internal/forward/forward.go",
		"case f.repeats.seen(eventSID, it.arrived):", "case false:",
	},
	{
		"the answer to Twilio waits for the other party", "internal/forward/forward.go",
		"	outcome := f.enqueue(taken,", "	_, _ = f.deliver(taken)\n	outcome := f.enqueue(taken,",
	},
	{
		"forwarding goes on when it was ended", "controllers/inactivitypolicy_callback.go",
		"	if ending || !record.Set {", "	if !record.Set {",
	},
	{
		"the other party's events are not in the filter", "controllers/inactivitypolicy_callback.go",
		"	case forward && record.URL != \"\":", "	case false:",
	},
	{
		"a policy that has callbacks disabled has the workspace call the operator", "api/v1alpha1/inactivitypolicy_types.go",
		"p.Spec.Callback.Mode != CallbackDisabled", `p.Spec.Callback.Mode != "Never"`,
	},
	{
		"a policy that is suspended has the workspace call the operator", "controllers/inactivitypolicy_phases.go",
		"	if policy.Spec.Suspend || invalid != nil {", "	if invalid != nil {",
	},
	{
		"what others add to the filter is dropped", "controllers/inactivitypolicy_callback.go",
		"filter = callback.WithEvents(workspace.EventsFilter, eventReservationAccepted)", "filter = eventReservationAccepted",
	},
	{
		"what others add to the filter is dropped under Forward", "controllers/inactivitypolicy_callback.go",
		"			observed = workspace.EventsFilter", "			observed = record.Filter",
	},
	{
		"putting the callback back is given up at once", "controllers/inactivitypolicy_delete.go",
		"deletionPatience = 2 * time.Minute", "deletionPatience = -time.Second",
	},
	{
		"a deletion's patience counts from when nobody led", "controllers/inactivitypolicy_delete.go",
		"	first, _ := r.deletions.LoadOrStore(policy.UID, r.Clock.Now())\n", "	first := any(policy.DeletionTimestamp.Time)\n",
	},
}
