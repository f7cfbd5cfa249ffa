package twiliosim

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestASecondaryTokenAuthenticatesBesideThePrimaryOneUntilItIsPromoted(t *testing.T) {
	s := New(Options{})
	t.Cleanup(s.Close)
	taken := func(token string) bool {
		request := httptest.NewRequest(http.MethodGet, "/v1/Workspaces", nil)
		request.SetBasicAuth(s.AccountSID(), token)
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, request)
		return answer.Code == http.StatusOK
	}
	check := func(moment string, token string, want bool) {
		t.Helper()
		if got := taken(token); got != want {
			t.Errorf("%s: taken: %t, want %t", moment, got, want)
		}
	}
	primary, secondary := s.AuthToken(), "secondary"
	check("the secondary token before it exists", secondary, false)
	check("no token, while there is no secondary one", "", false)
	s.SetSecondaryAuthToken(secondary)
	check("the secondary token", secondary, true)
	check("the primary token beside it", primary, true)
	if s.AuthToken() != primary {
		t.Error("callbacks are signed with the secondary token")
	}
	s.PromoteAuthToken()
	check("the promoted token", secondary, true)
	check("the token before it", primary, false)
	if s.AuthToken() != secondary {
		t.Error("callbacks are signed with the token before the promotion")
	}
}
