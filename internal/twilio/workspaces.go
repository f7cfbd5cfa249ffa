package twilio

import (
	"context"

	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// Workspace is a TaskRouter workspace, as far as this project reads it
// (https://www.twilio.com/docs/taskrouter/api/workspace).
type Workspace struct {
	SID          string
	AccountSID   string
	FriendlyName string
	// EventCallbackURL receives the workspace's events; there is one. "" when unset.
	EventCallbackURL string
	// EventsFilter is the comma-separated list of events to send, as Twilio keeps it: spaces may follow the commas.
	EventsFilter string
}

func newWorkspace(w *taskrouter.TaskrouterV1Workspace) Workspace {
	return Workspace{
		SID:              value(w.Sid),
		AccountSID:       value(w.AccountSid),
		FriendlyName:     value(w.FriendlyName),
		EventCallbackURL: value(w.EventCallbackUrl),
		EventsFilter:     value(w.EventsFilter),
	}
}

// GetWorkspace reads a workspace.
func (c *Client) GetWorkspace(ctx context.Context, sid string) (Workspace, error) {
	if err := checkSIDs(opGetWorkspace, workspaceArg(sid)); err != nil {
		return Workspace{}, err
	}
	x := c.begin(ctx, opGetWorkspace)
	w, err := x.taskrouter().FetchWorkspace(sid)
	if err != nil {
		return Workspace{}, x.end(err)
	}
	return answer(x, newWorkspace(w), w.Sid, sid)
}

// ListWorkspaces reads all workspaces that Twilio finds for a friendly name, or all of the account for "". Twilio's
// documentation does not say how it compares names, so the caller has to compare them itself.
func (c *Client) ListWorkspaces(ctx context.Context, friendlyName string) ([]Workspace, error) {
	params := &taskrouter.ListWorkspaceParams{}
	params.SetPageSize(workspacePageSize)
	if friendlyName != "" {
		params.SetFriendlyName(friendlyName)
	}
	return listAll(ctx, c, opListWorkspaces, 0, func(x *exchange) ([]Workspace, *string, string, error) {
		page, err := x.taskrouter().PageWorkspace(params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.Workspaces, newWorkspace), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}

// TaskQueue is a task queue of a workspace, as far as this project reads it
// (https://www.twilio.com/docs/taskrouter/api/task-queue).
type TaskQueue struct {
	SID          string
	FriendlyName string
}

// ListTaskQueues reads all task queues of a workspace.
func (c *Client) ListTaskQueues(ctx context.Context, workspaceSID string) ([]TaskQueue, error) {
	if err := checkSIDs(opListTaskQueues, workspaceArg(workspaceSID)); err != nil {
		return nil, err
	}
	params := &taskrouter.ListTaskQueueParams{}
	params.SetPageSize(workspacePageSize)
	return listAll(ctx, c, opListTaskQueues, 0, func(x *exchange) ([]TaskQueue, *string, string, error) {
		page, err := x.taskrouter().PageTaskQueue(workspaceSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.TaskQueues, func(q *taskrouter.TaskrouterV1TaskQueue) TaskQueue {
			return TaskQueue{SID: value(q.Sid), FriendlyName: value(q.FriendlyName)}
		}), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}

// UpdateWorkspaceCallback sets the callback URL and the events filter of a workspace. Both are always sent: "" clears
// one. There is no compare-and-set for workspaces; the last writer wins.
func (c *Client) UpdateWorkspaceCallback(ctx context.Context, sid, url, filter string) (Workspace, error) {
	if err := checkSIDs(opUpdateWorkspaceCallback, workspaceArg(sid)); err != nil {
		return Workspace{}, err
	}
	params := &taskrouter.UpdateWorkspaceParams{}
	params.SetEventCallbackUrl(url)
	params.SetEventsFilter(filter)
	x := c.begin(ctx, opUpdateWorkspaceCallback)
	w, err := x.taskrouter().UpdateWorkspace(sid, params)
	if err != nil {
		return Workspace{}, x.end(err)
	}
	return answer(x, newWorkspace(w), w.Sid, sid)
}
