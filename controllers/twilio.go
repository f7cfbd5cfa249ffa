package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// WorkspaceClient reads TaskRouter workspaces with their task queues, and sets their event callback.
type WorkspaceClient interface {
	GetWorkspace(ctx context.Context, sid string) (twilio.Workspace, error)
	ListWorkspaces(ctx context.Context, friendlyName string) ([]twilio.Workspace, error)
	ListTaskQueues(ctx context.Context, workspaceSID string) ([]twilio.TaskQueue, error)
	UpdateWorkspaceCallback(ctx context.Context, sid, url, filter string) (twilio.Workspace, error)
}

// TaskClient reads tasks with their reservations, and claims and ends them.
type TaskClient interface {
	ListTasks(ctx context.Context, workspaceSID string, query twilio.TaskQuery) ([]twilio.Task, error)
	GetTask(ctx context.Context, workspaceSID, taskSID string) (twilio.Task, error)
	UpdateTaskAttributes(ctx context.Context, workspaceSID, taskSID, etag, attributes string) (twilio.Task, error)
	UpdateTaskStatus(ctx context.Context, workspaceSID, taskSID, status, reason string) (twilio.Task, error)
	ListReservations(ctx context.Context, workspaceSID, taskSID, status string) ([]twilio.Reservation, error)
}

// ConversationClient reads and ends conversations.
type ConversationClient interface {
	GetConversation(ctx context.Context, sid string) (twilio.Conversation, error)
	UpdateConversation(ctx context.Context, sid string, update twilio.ConversationUpdate) (twilio.Conversation, error)
	ListMessages(ctx context.Context, conversationSID string, query twilio.MessageQuery) ([]twilio.Message, error)
	CreateMessage(ctx context.Context, conversationSID string, message twilio.NewMessage) (twilio.Message, error)
	ListParticipants(ctx context.Context, conversationSID string) ([]twilio.Participant, error)
}

// WebhookClient reads and adds the scoped webhooks of a conversation.
type WebhookClient interface {
	ListWebhooks(ctx context.Context, conversationSID string) ([]twilio.Webhook, error)
	CreateWebhook(ctx context.Context, conversationSID string, webhook twilio.NewWebhook) (twilio.Webhook, error)
}

// ChannelClient reads and closes Flex interaction channels.
type ChannelClient interface {
	GetInteractionChannel(ctx context.Context, interactionSID, channelSID string) (twilio.InteractionChannel, error)
	CloseInteractionChannel(ctx context.Context, interactionSID, channelSID string, completeTasks bool) error
}

// TwilioClient is all that the reconcilers ask of Twilio.
type TwilioClient interface {
	WorkspaceClient
	TaskClient
	ConversationClient
	WebhookClient
	ChannelClient
}

// TwilioClients gives the client for an account's credentials.
type TwilioClients func(twilio.Credentials) (TwilioClient, error)

// Credentials are the Twilio credentials in the cluster's Secrets.
type Credentials interface {
	// Refresh reads a Secret.
	Refresh(ctx context.Context, name types.NamespacedName) (credentials.Credentials, error)
	// Get returns what was last read of a Secret, without asking the API server.
	Get(name types.NamespacedName) (credentials.Credentials, bool)
	// RefreshSoon has a Secret read in a moment, and does not wait for it.
	RefreshSoon(name types.NamespacedName)
}
