package simulation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shortest looks for the least that the first violation of a seed needs, and returns what happens then: parts of the world
// are left out, half of them at once first and each on its own at last, and stay out if the same invariant is violated
// without them.
func shortest(t *testing.T, p play, found *world) string {
	p.stops, p.tells, p.shows = true, false, false
	wanted := kind(found.problems[0])
	needed := slices.Sorted(maps.Keys(found.parts))
	for size := (len(needed) + 1) / 2; size > 0; size /= 2 {
		for from := 0; from < len(needed); {
			tried := needed[from:min(from+size, len(needed))]
			p.without = without(found.parts, needed, tried)
			if w := p.world(t); len(w.problems) > 0 && kind(w.problems[0]) == wanted {
				needed = slices.Delete(needed, from, from+len(tried))
			} else {
				from += size
			}
		}
	}
	p.without = without(found.parts, needed, nil)
	p.tells = true
	w := p.world(t)
	if len(w.problems) == 0 {
		return "the violation does not come again: is the seed repeatable?"
	}
	return fmt.Sprintf("seed %d, shortest timeline of %q:\n%s\nIt needs: %s", p.seed, w.problems[0],
		strings.Join(timeline(w), "\n"), strings.Join(needed, ", "))
}

// without are all parts but those that are needed, and of them those that it is tried without.
func without(all map[string]bool, needed, tried []string) map[string]bool {
	left := map[string]bool{}
	for part := range all {
		left[part] = !slices.Contains(needed, part) || slices.Contains(tried, part)
	}
	return left
}

var invariant = regexp.MustCompile(`\b(I[1-8]|F[1-4])\b`)

// kind is what a problem has in common with others of its kind: the promise, or for other problems their first words.
func kind(problem string) string {
	if found := invariant.FindString(problem); found != "" {
		return found
	}
	const words = 20
	return problem[:min(words, len(problem))]
}

var conversationName = regexp.MustCompile(`\bCH[0-9a-f]{32}\b`)

// timeline is what a reader needs of a history that ends with a violation: if a conversation is concerned, not what
// happened to others.
func timeline(w *world) []string {
	sid := conversationName.FindString(w.problems[0])
	t := w.talks[sid]
	if t == nil {
		return slices.DeleteFunc(slices.Clone(w.lines), func(line string) bool { return strings.Contains(line, "/Tasks: ") })
	}
	tasks := []string{sid, t.name}
	for task, conversation := range w.tasks {
		if conversation == sid {
			tasks = append(tasks, task)
		}
	}
	others := slices.DeleteFunc(slices.Concat(slices.Collect(maps.Keys(w.talks)), slices.Collect(maps.Keys(w.tasks)), w.names()),
		func(name string) bool { return slices.Contains(tasks, name) })
	return slices.DeleteFunc(slices.Clone(w.lines), func(line string) bool {
		return slices.ContainsFunc(others, func(name string) bool { return strings.Contains(line, name) })
	})
}
