package twiliosim

import (
	"fmt"
	"net/http"
)

// Twilio's error codes that the simulator answers with. Each is documented at
// https://www.twilio.com/docs/api/errors/<code>.
const (
	codeInvalidParameter    = 20001
	codeAuthenticate        = 20003
	codeMethodNotAllowed    = 20004
	codeNotFound            = 20404
	codePreconditionFailed  = 20412
	codeTooManyRequests     = 20429
	codeInternal            = 20500
	codePageNotSupported    = 40153
	codeTooManyWebhooks     = 50361
	codeBadWebhookFilter    = 50365
	codeWebhookWithoutURL   = 50369
	codeWebhookNoFilter     = 50370
	codeWebhookURLTooLong   = 50372
	codeBadState            = 50374
	codeInactiveTooShort    = 50375
	codeClosedTooShort      = 50376
	codeConversationClosed  = 50377
	codeBadInactiveFormat   = 50379
	codeBadClosedFormat     = 50380
	codeTimerWithoutState   = 50382
	codeCreatedClosed       = 50384
	codeNameExists          = 50353
	codeBindingExists       = 50416
	codeParticipantExists   = 50433
	codeBodyTooLong         = 50504
	codeBadContentSID       = 50526
	codeBadContentVariables = 50527
	codeNoContentSID        = 50528
	codeOutsideReplyWindow  = 63016
	codeInteractionNotOpen  = 80906
	moreInfo                = "https://www.twilio.com/docs/errors/%d"
	authenticationRealm     = `Basic realm="Twilio API"`
	messageAuthenticate     = "Authentication Error - invalid username"
	messagePreconditionMiss = "The ETag given in If-Match is not that of the resource: it was changed by somebody else"
)

// apiError is an answer that refuses a request, in Twilio's form.
type apiError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("twilio simulator: status %d, code %d: %s", e.Status, e.Code, e.Message)
}

func refuse(status, code int, format string, args ...any) *apiError {
	return &apiError{
		Code:     code,
		Message:  fmt.Sprintf(format, args...),
		MoreInfo: fmt.Sprintf(moreInfo, code),
		Status:   status,
	}
}

// invalid refuses a parameter or a transition that the resource's state does not allow.
func invalid(format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, codeInvalidParameter, format, args...)
}

// notFound is Twilio's answer for a path or a SID that it does not know.
func notFound(path string) *apiError {
	return refuse(http.StatusNotFound, codeNotFound, "The requested resource %s was not found", path)
}
