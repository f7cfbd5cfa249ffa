package version

import (
	"runtime/debug"
	"testing"
)

func TestPick(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}}
	tests := map[string]struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		"what the linker set wins":                      {"v1.2.3", &debug.BuildInfo{Main: debug.Module{Version: "v9.9.9"}}, "v1.2.3"},
		"an installed module has its version":           {"", &debug.BuildInfo{Main: debug.Module{Version: "v1.4.0"}}, "v1.4.0"},
		"a checkout has its commit, shortened":          {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, "devel-0123456789ab"},
		"a short commit is kept whole":                  {"", &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}}}, "devel-0123"},
		"nothing recorded is still a word":              {"", &debug.BuildInfo{}, "devel"},
		"a program built without modules has a version": {"", nil, "devel"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := pick(tc.linked, tc.info); got != tc.want {
				t.Errorf("pick(%q, …) = %q, want %q", tc.linked, got, tc.want)
			}
		})
	}
}

func TestStringIsNeverEmpty(t *testing.T) {
	if String() == "" {
		t.Error("String() is empty")
	}
}
