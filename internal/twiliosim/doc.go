// Package twiliosim plays a Twilio account with Flex, so that what is built for Twilio can be tried and tested without
// one: TaskRouter, Conversations and Flex Interactions over HTTP in Twilio's wire format, the people who write and
// answer, the timers, and the signed callbacks. It is made for clients in any language; nothing in it knows who asks.
//
// # REST API
//
// The three products have one base URL, since their paths do not collide:
//
//	/v1/Workspaces[/{WS}]                                           GET, POST (update)
//	/v1/Workspaces/{WS}/TaskQueues                                  GET (list)
//	/v1/Workspaces/{WS}/Tasks[/{WT}]                                GET, POST, DELETE
//	/v1/Workspaces/{WS}/Tasks/{WT}/Reservations[/{WR}]              GET, POST (update)
//	/v1/Conversations[/{CH}]                                        GET, POST, DELETE
//	/v1/Conversations/{CH}/Messages[/{IM}]                          GET, POST (create)
//	/v1/Conversations/{CH}/Participants[/{MB}]                      GET, POST (create)
//	/v1/Conversations/{CH}/Webhooks[/{WH}]                          GET, POST, DELETE
//	/v1/Services/{IS}/Conversations…                                the same, for the default service
//	/v1/Interactions/{KD}                                           GET
//	/v1/Interactions/{KD}/Channels[/{UO}]                           GET, POST (update)
//	/v1/Interactions/{KD}/Channels/{UO}/Participants[/{UT}]         GET (list), POST (update)
//	/v1/Interactions/{KD}/Channels/{UO}/Invites                     GET (list)
//	/v1/Configuration                                               GET
//
// /v1/Configuration exists in two products: a request to a host that starts with flex-api. gets Flex's document, one
// to a host that starts with conversations. that of Conversations, any other the union of both (their common fields
// are equal). Requests authenticate with the account's SID and token or with an API key. Parameters that a resource
// does not know are ignored, as by Twilio, and stand in the journal. Where Twilio's documentation is silent, the
// choices are those of Dialect, each of which can be turned around in Options; the HTTP status 400 of Conversations' and
// Flex's own error codes is one more.
//
// What Twilio checks and the simulator does not: rate limits, capacity, reservation time-outs (a reservation stays
// open until somebody takes it), roles, whether a content template exists. Delivery is not played beyond its outcome: a
// message's delivery summary has it as soon as the message is read again, and onDeliveryUpdated is not sent.
//
// # Callbacks
//
// TaskRouter events go to the workspace's EventCallbackUrl when its EventsFilter names them, with the retries that the
// URL's connection overrides ask for; scoped webhooks get what their filters name, once. Changes made by REST fire
// webhooks only with X-Twilio-Webhook-Enabled: true; timers and people always do. All are signed with the auth token.
// Callbacks about one task or one conversation are first tried in order. Dialect.Deliveries loses, repeats and delays
// them instead.
//
// # Control API
//
// It needs no authentication, so the program listens on loopback. Requests and answers are JSON; a refusal is
// {"error": "…"} with status 400 (cannot be read), 404 (no such path) or 409 (the state does not allow it).
//
//	POST   /simulator/conversations {"channel": "sms", "from": "+15005550001", "body": "Hello"}
//	       → {"conversationSid", "taskSid", "reservationSid", "interactionSid", "channelSid", "workspaceSid"}
//	       channel: sms, whatsapp, messenger, web, chat, voice; and the other fields of Start: "workspaceSid",
//	       "queue", "priority", "attributes", "participantAttributes", "plain", "anonymous", "outbound"
//	POST   /simulator/conversations/{sid}/messages {"from": "customer", "agent" or an identity, "body": "…"}
//	POST   /simulator/conversations/{sid}/posts {"author": "…", "body": "…"}        → {"messageSid"}: a program's, by REST
//	POST   /simulator/conversations/{sid}/participants {"identity": "…"}            → {"participantSid"}: who joins by chat
//	POST   /simulator/conversations/{sid}/attributes {"attributes": {…}, "remove": ["…"]}      merged
//	POST   /simulator/conversations/{sid}/transfer {"queue", "priority", "attributes"}, each optional
//	                                                           → the new task, as above
//	POST   /simulator/conversations/{sid}/leave | pause
//	POST   /simulator/conversations/{sid}/resume               → the new task, as above
//	POST   /simulator/reservations/{sid}/accept | reject
//	POST   /simulator/tasks/{sid}/offer                        → {"reservationSid"}
//	POST   /simulator/tasks/{sid}/wrapup | complete
//	POST   /simulator/tasks/{sid}/attributes {"attributes": {…}, "remove": ["…"]}              merged
//	POST   /simulator/workspaces {"friendlyName": "…"}         → {"workspaceSid"}
//	POST   /simulator/taskqueues {"friendlyName": "…"}         → {"queueSid"}; "workspaceSid": in another workspace
//	POST   /simulator/faults                                   a Fault as JSON (delay in nanoseconds)
//	DELETE /simulator/faults                                   removes them all
//	GET    /simulator/journal[?since=seq]                      every Entry [after that one], as JSON lines
//	GET    /simulator/state                                    the State
//
// # Time
//
// Everything is dated and timed by Options.Clock. With a fake clock, whatever is due fires, in order and each at its
// own moment, as soon as the clock was stepped or at the latest when anybody looks; WaitIdle also waits for the
// callbacks that this caused. On the real clock the simulator runs in a bubble of testing/synctest as well, when
// Options.CallbackClient has a transport that needs no network.
//
// The same calls at the same moments have the same effects and make the same SIDs. Callbacks that are sent at the same
// moment start in the order of their events and then run side by side, so which of them arrives first is open, unless
// Dialect.Deliveries makes the order.
package twiliosim
