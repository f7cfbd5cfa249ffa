package twiliosim

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// isContentSID matches the SID of a content template.
var isContentSID = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)

// checkContent refuses a content template that is none, and variables that no template can take. Whether there is such
// a template is not checked: the simulator has no Content API.
func (s *Simulator) checkContent(r *request) *apiError {
	sid, variables := r.get("ContentSid"), r.get("ContentVariables")
	switch {
	case sid == "" && variables == "":
		return nil
	case sid == "":
		return refuse(http.StatusBadRequest, codeNoContentSID, "Content SID is missing")
	case !isContentSID.MatchString(sid):
		return refuse(http.StatusBadRequest, codeBadContentSID, "Invalid content SID")
	case variables == "":
		return nil
	}
	bad := func(why string) *apiError {
		return refuse(http.StatusBadRequest, codeBadContentVariables, "Invalid content variables format: %s", why)
	}
	var values map[string]any
	if json.Unmarshal([]byte(variables), &values) != nil || values == nil {
		return bad("they are not a JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) { // of several that are bad, the same one is named every time
		text, isText := values[name].(string)
		switch {
		case !isText:
			return bad("a value is not a string")
		case !s.opts.Dialect.UnusableVariablesAreAccepted && unusable(text):
			return bad("a value is empty, or has a line break, a tab or more than four spaces in a row")
		}
	}
	return nil
}

// unusable tells whether a template cannot take the value.
func unusable(value string) bool {
	return value == "" || strings.ContainsAny(value, "\r\n\t") || strings.Contains(value, "     ")
}
