package twilio

import "time"

// value dereferences what the generated models leave nil when Twilio gave null or nothing.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// convert maps the items of a page; nil, where the page had no such list at all, stays nil.
func convert[R, T any](items []R, to func(*R) T) []T {
	if items == nil {
		return nil
	}
	out := make([]T, 0, len(items))
	for i := range items {
		out = append(out, to(&items[i]))
	}
	return out
}

// parseDate reads an ISO 8601 date with or without fractions of a second.
func parseDate(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}
