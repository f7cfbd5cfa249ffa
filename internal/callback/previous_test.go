package callback

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestARecordSurvivesItsAnnotation(t *testing.T) {
	for name, record := range map[string]Previous{
		"all fields": {WorkspaceSID: workspace, AccountSID: "AC1", URL: "https://a.example.com/?key=1#rc=2", Filter: "a, b", Forward: true,
			Applied: "https://b.example.com", Replaced: "https://c.example.com", Guessed: true},
		"an empty slot": {WorkspaceSID: workspace},
	} {
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if got := ParsePrevious(string(text)); got == nil || *got != record {
			t.Errorf("%s: read back as %+v, want %+v", name, got, record)
		}
	}
}

func TestARecordOfBeforeThereWasForwardForwardsNothing(t *testing.T) {
	record := ParsePrevious(`{"workspaceSid":"WS1","url":"https://a.example.com","filter":"","applied":"https://b.example.com"}`)
	if record == nil || record.Forwards() {
		t.Errorf("%+v forwards", record)
	}
}

func TestKnowsMoreThan(t *testing.T) {
	guess, free, somebodys := &Previous{Guessed: true}, &Previous{}, &Previous{URL: "https://crm.example.com"}
	ranks := []*Previous{nil, guess, free, somebodys}
	for i, one := range ranks[1:] {
		for k, other := range ranks {
			if got, want := one.KnowsMoreThan(other), i+1 > k; got != want {
				t.Errorf("%+v knows more than %+v: %t, want %t", one, other, got, want)
			}
		}
	}
}

func TestForwards(t *testing.T) {
	for name, test := range map[string]struct {
		record *Previous
		want   bool
	}{
		"no record":       {nil, false},
		"nobody":          {&Previous{Forward: true}, false},
		"not asked to":    {&Previous{URL: "https://a.example.com"}, false},
		"asked to":        {&Previous{URL: "https://a.example.com", Forward: true}, true},
		"only remembered": {&Previous{Applied: "https://a.example.com", Forward: true}, false},
	} {
		if got := test.record.Forwards(); got != test.want {
			t.Errorf("%s: Forwards() = %v, want %v", name, got, test.want)
		}
	}
}

func TestPasses(t *testing.T) {
	for filter, want := range map[string]bool{
		"":                            true,
		" , ":                         true,
		"task.created":                true,
		"task.canceled, task.created": true,
		"task.created.not":            false,
		"task.canceled":               false,
		"task":                        false,
	} {
		if got := (&Previous{Filter: filter}).Passes("task.created"); got != want {
			t.Errorf("a filter of %q lets task.created pass: %v, want %v", filter, got, want)
		}
	}
	if (&Previous{Filter: "task.created"}).Passes("") {
		t.Error("an event without a type passes a filter")
	}
}

func TestForwardingFilter(t *testing.T) {
	for name, test := range map[string]struct{ recorded, observed, want string }{
		"as it was taken over":                     {"a, b", "a, b", "a, b,e"},
		"it has the operator's event already":      {"a,e", "a,e", "a,e"},
		"what others added is kept":                {"a", "e,a,added", "e,a,added"},
		"what was taken away comes back":           {"a,b", "e", "e,a,b"},
		"an emptied one is filled":                 {"a,b", "", "a,b,e"},
		"everything stays everything":              {"", "", ""},
		"everything comes back":                    {"", "e", ""},
		"only spaces are everything":               {" ", "e,added", ""},
		"it is left as written when nothing lacks": {"a,b", " b ,e, a", " b ,e, a"},
	} {
		if got := (&Previous{Filter: test.recorded}).ForwardingFilter(test.observed, "e"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestEvents(t *testing.T) {
	if got, want := Events(" a, b,,c d ,"), []string{"a", "b", "c d"}; !slices.Equal(got, want) {
		t.Errorf("Events = %q, want %q", got, want)
	}
}

func TestWithEventsAddsOnlyWhatIsMissing(t *testing.T) {
	for filter, want := range map[string]string{
		"":               "e",
		"  ":             "e",
		"e":              "e",
		"a, e ,b":        "a, e ,b",
		"a":              "a,e",
		"a, b":           "a, b,e",
		"event,e.f, f.e": "event,e.f, f.e,e",
	} {
		if got := WithEvents(filter, "e"); got != want {
			t.Errorf("WithEvents(%q) = %q, want %q", filter, got, want)
		}
	}
	if got, want := WithEvents("a", "e", "a", "f", "e"), "a,e,f"; got != want {
		t.Errorf("several events: %q, want %q", got, want)
	}
}
