package main

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestMutantsFitTheCode finds a mutant that the code has moved away from long before somebody runs all of them.
func TestMutantsFitTheCode(t *testing.T) {
	t.Chdir("../..")
	seen := map[string]bool{}
	for _, one := range slices.Concat(ofConversations, ofCallbacks) {
		if seen[one.name] {
			t.Errorf("two mutants are called %q", one.name)
		}
		seen[one.name] = true
		source, err := one.source()
		if err != nil {
			t.Errorf("mutant %q: %v", one.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), one.file, source, 0); err != nil {
			t.Errorf("mutant %q is no Go: %v", one.name, err)
		}
	}
}
