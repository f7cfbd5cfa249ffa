// Package inactivity decides what happens to a conversation next. It is pure: no client, no clock, no goroutine.
//
// A caller observes the conversation in Twilio, passes what it saw as a Snapshot to Decide, and does what the Decision
// says. When Decide needs to know more than the snapshot holds, it answers Look and names the missing parts, so that a
// conversation that cannot be due costs no call for its messages. Decide is total and deterministic: the same policy
// and snapshot give the same decision.
package inactivity
