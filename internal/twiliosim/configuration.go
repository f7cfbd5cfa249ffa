package twiliosim

import (
	"maps"
	"strings"
)

// newAccount makes what exists once per account. The caller holds the state.
func (s *Simulator) newAccount() *account {
	return &account{
		chatServiceSID:      s.newResource("IS").sid,
		messagingServiceSID: s.newResource("MG").sid,
		flexInstanceSID:     s.newResource("GO").sid,
		agentRoleSID:        s.newResource("RL").sid,
		proxyAddress:        "+15005550006", // Twilio's magic test number
		created:             s.now,
	}
}

// getConfiguration answers /v1/Configuration, which two products have. On a host flex-api.* it is Flex's document, on
// conversations.* that of Conversations, and on any other host the union of both: their common fields agree.
func (s *Simulator) getConfiguration(r *request) (*reply, *apiError) {
	_, host, _ := strings.Cut(r.base, "://")
	document := map[string]any{}
	if !strings.HasPrefix(host, "flex-api.") {
		s.conversationsConfiguration(r, document)
	}
	if !strings.HasPrefix(host, "conversations.") {
		s.flexConfiguration(r, document)
	}
	return ok(document)
}

func (s *Simulator) conversationsConfiguration(r *request, document map[string]any) {
	a := s.account
	document["account_sid"] = s.accountSID
	document["default_chat_service_sid"] = a.chatServiceSID
	document["default_messaging_service_sid"] = a.messagingServiceSID
	document["default_inactive_timer"] = nil
	document["default_closed_timer"] = nil
	document["url"] = r.url("/v1/Configuration")
	document["links"] = map[string]string{
		"service":  r.url("/v1/Services/" + a.chatServiceSID + "/Configuration"),
		"webhooks": r.url("/v1/Configuration/Webhooks"),
	}
}

// flexConfiguration is that of a Flex project as it comes: set up, nothing changed.
func (s *Simulator) flexConfiguration(r *request, document map[string]any) {
	a, w := s.account, s.account.flexWorkspace
	for _, name := range []string{
		"taskrouter_skills", "taskrouter_worker_channels", "taskrouter_worker_attributes", "ui_language",
		"call_recording_webhook_url", "crm_type", "crm_callback_url", "crm_fallback_url", "crm_attributes",
		"public_attributes", "plugin_service_attributes", "integrations", "outbound_call_flows",
		"serverless_service_sids", "queue_stats_configuration", "notifications", "markdown", "flex_insights_hr",
		"flex_insights_drilldown", "flex_url", "channel_configs", "debugger_integration", "flex_ui_status_report",
		"agent_conv_end_methods", "citrix_voice_vdi", "offline_config",
	} {
		document[name] = nil
	}
	maps.Copy(document, map[string]any{
		"account_sid":                     s.accountSID,
		"date_created":                    wireTime(a.created),
		"date_updated":                    wireTime(a.created),
		"attributes":                      map[string]any{},
		"status":                          "ok",
		"taskrouter_workspace_sid":        w.sid,
		"taskrouter_target_workflow_sid":  w.workflow.sid,
		"taskrouter_target_taskqueue_sid": w.queue.sid,
		"taskrouter_taskqueues":           []any{map[string]any{"sid": w.queue.sid, "targettable": true}},
		"taskrouter_offline_activity_sid": w.offline.sid,
		"runtime_domain":                  "https://flex.twilio.com",
		"messaging_service_instance_sid":  a.messagingServiceSID,
		"chat_service_instance_sid":       a.chatServiceSID,
		"flex_service_instance_sid":       a.chatServiceSID,
		"flex_instance_sid":               a.flexInstanceSID,
		"ui_attributes":                   map[string]any{},
		"ui_dependencies":                 map[string]any{},
		"ui_version":                      "~2.0",
		"service_version":                 "~2.0",
		"call_recording_enabled":          false,
		"crm_enabled":                     false,
		"plugin_service_enabled":          true,
		"url":                             r.url("/v1/Configuration"),
	})
}
