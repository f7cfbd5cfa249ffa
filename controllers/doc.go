// Package controllers holds the operator's two reconcilers, side by side: the one that brings InactivityPolicies into force
// by setting the callbacks of their TaskRouter workspaces, and the one that looks at conversations and ends the idle
// ones; and the sweeper, which feeds the second one with conversations whose events were lost.
package controllers
