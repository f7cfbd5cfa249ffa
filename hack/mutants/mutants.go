package main

// mutants are what the simulation has to notice.
var mutants = []mutant{
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
		"a policy that is suspended acts", "internal/inactivity/policy.go",
		"Suspended:         spec.Suspend,", "",
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
		"	found, started := 0, s.Clock.Now()\n", "	found, started := 0, s.Clock.Now()\n	byWorkspace = nil\n",
	},
	{
		"the callback is not put back", "controllers/inactivitypolicy_callback.go",
		"	if _, err := twilioClient.UpdateWorkspaceCallback(ctx, record.WorkspaceSID, record.URL, record.Filter); err != nil {\n		return err\n	}\n", "",
	},
	{
		"any signature will do", "internal/signature/signature.go",
		`verified[i] = match == 1 && token != ""`, `verified[i] = match >= 0 && token != ""`,
	},
	{
		"a timer is set at each look", "internal/inactivity/decide.go",
		"	case reason == ReasonAgentOwesReply:\n		return waiting\n", "",
	},
}
