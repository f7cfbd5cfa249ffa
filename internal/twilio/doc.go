// Package twilio is the operator's only door to Twilio: a small client over the generated services of twilio-go for
// TaskRouter, Conversations (classic) and Flex Interactions.
//
// The generated services know the paths, parameters and models; everything below them is this package's own
// implementation of their BaseClient interface, because the one that comes with them knows no context, no bounds, no
// Retry-After, and changes some queries on the way out. What this package promises instead:
//
//   - every call is bound by its context, and by a time-out per attempt; canceling aborts the HTTP request;
//   - every answer is read completely, up to a bound, and its connection is given back;
//   - every failure is an [*Error] with the HTTP status, Twilio's code, and whether a write may have happened;
//   - a call is repeated only where that is safe, see [Client]; a token bucket and a concurrency limit are shared by all
//     clients of one account;
//   - SIDs are checked before they become part of a path or an expression, and credentials are sent to no other host
//     than the configured one, whatever a page's next_page_url or a redirect says;
//   - no credential, message text, name or phone number is part of an error or of what a value prints.
package twilio
