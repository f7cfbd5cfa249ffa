package twilio

// validSID reports whether s is a SID of the kind that prefix names: two capital letters and 32 hexadecimal digits.
// SIDs arrive in callbacks and in task attributes that customers' software writes; twilio-go pastes them into paths
// unescaped, and one is pasted into an expression.
func validSID(prefix, s string) bool {
	if len(s) != 34 || s[:2] != prefix {
		return false
	}
	for _, b := range []byte(s[2:]) {
		if (b < '0' || b > '9') && (b < 'a' || b > 'f') && (b < 'A' || b > 'F') {
			return false
		}
	}
	return true
}

// sidArgument is one SID of a call, for checkSIDs.
type sidArgument struct{ prefix, name, value string }

// checkSIDs refuses a call with a malformed SID before anything is sent. The message does not repeat the value: it may
// be anything.
func checkSIDs(op operation, args ...sidArgument) error {
	for _, arg := range args {
		if !validSID(arg.prefix, arg.value) {
			return invalid(op, arg.name+" sid is not "+arg.prefix+" and 32 hexadecimal digits")
		}
	}
	return nil
}

func workspaceArg(sid string) sidArgument    { return sidArgument{"WS", "workspace", sid} }
func taskArg(sid string) sidArgument         { return sidArgument{"WT", "task", sid} }
func conversationArg(sid string) sidArgument { return sidArgument{"CH", "conversation", sid} }
func contentArg(sid string) sidArgument      { return sidArgument{"HX", "content", sid} }
func interactionArg(sid string) sidArgument  { return sidArgument{"KD", "interaction", sid} }
func channelArg(sid string) sidArgument      { return sidArgument{"UO", "interaction channel", sid} }
