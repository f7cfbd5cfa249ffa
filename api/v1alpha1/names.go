package v1alpha1

// Names that users, GitOps tools and other programs see. They are part of the API: a change of one is a breaking change.
const (
	// Finalizer holds an InactivityPolicy until the workspace's callback has been put back.
	Finalizer = "contactcenter.flexops.dev/callback"

	// AnnotationReconcileAt asks for a reconcile now: set it to any new value, for example the time.
	AnnotationReconcileAt = "contactcenter.flexops.dev/reconcileAt"

	// AnnotationPreviousCallback records, as JSON, the callback URL and filter that the workspace had before the operator
	// took it over. It is written before the take-over and used to put them back.
	AnnotationPreviousCallback = "contactcenter.flexops.dev/previous-callback"
)

// Condition types of an InactivityPolicy.
const (
	// ConditionReady is True when the policy is in force as written (or is suspended, as written).
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator is still working towards spec, and absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when somebody has to change something before the policy can be in force, and absent otherwise.
	ConditionStalled = "Stalled"
	// ConditionCallbackConfigured is True when the workspace calls this operator.
	ConditionCallbackConfigured = "CallbackConfigured"
	// ConditionOverlapping is True when other policies of the workspace may select the same conversations, and absent
	// otherwise. It says which of them take precedence, and why.
	ConditionOverlapping = "Overlapping"
	// ConditionThrottled is True while conversations that are due wait for spec.limits, False while none does, and absent
	// without limits.
	ConditionThrottled = "Throttled"
)

// Reasons of the conditions of an InactivityPolicy.
const (
	// ReasonSucceeded: the policy is in force.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: the operator is at work on this generation.
	ReasonProgressing = "Progressing"
	// ReasonStandby: another policy takes precedence for all the conversations that this one selects.
	ReasonStandby = "Standby"
	// ReasonObserving: spec.mode is Observe, and nothing is written to Twilio.
	ReasonObserving = "Observing"
	// ReasonSharedConversations: other policies of the workspace may select the same conversations.
	ReasonSharedConversations = "SharedConversations"
	// ReasonLimitReached: more conversations are due than spec.limits lets end at once.
	ReasonLimitReached = "LimitReached"
	// ReasonWithinLimit: no conversation waits for spec.limits.
	ReasonWithinLimit = "WithinLimit"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonInvalidSpec: spec has a value that only code could judge, and it is wrong.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonSecretNotFound: the Secret does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: the Secret lacks a key, or a key has a value that cannot be right.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonUnauthorized: Twilio refused the credentials.
	ReasonUnauthorized = "Unauthorized"
	// ReasonWorkspaceNotFound: the account has no such workspace.
	ReasonWorkspaceNotFound = "WorkspaceNotFound"
	// ReasonWorkspaceAmbiguous: several workspaces of the account have the friendly name.
	ReasonWorkspaceAmbiguous = "WorkspaceAmbiguous"
	// ReasonCallbackInUse: the workspace calls somebody else, and spec.callback.onConflict is Refuse.
	ReasonCallbackInUse = "CallbackInUse"
	// ReasonCallbackRejected: Twilio refused the callback URL.
	ReasonCallbackRejected = "CallbackRejected"
	// ReasonCallbackDisabled: spec.callback.mode is Disabled.
	ReasonCallbackDisabled = "CallbackDisabled"
	// ReasonTwilioUnavailable: Twilio could not be reached, or answered with an error of its own.
	ReasonTwilioUnavailable = "TwilioUnavailable"
	// ReasonDegraded: Twilio has failed for five minutes without a success in between.
	ReasonDegraded = "Degraded"
	// ReasonDeleting: the policy is being deleted.
	ReasonDeleting = "Deleting"
)
