package twilio

import (
	"context"
	"net/url"
	"strings"
)

// listAll reads the pages of a list until there are no more, or until limit items (0: all of them). The lists of the
// generated services are not used: they run goroutines that nobody can stop, and follow next_page_url to any host.
//
// read fetches one page with the exchange it is given and returns its items, its next_page_url, and its meta.key.
func listAll[T any](ctx context.Context, c *Client, op operation, limit int, read func(*exchange) (items []T, next *string, key string, err error)) ([]T, error) {
	var all []T
	seen := make(map[string]struct{})
	query := ""
	for range maxPages {
		x := c.begin(ctx, op)
		x.nextPage = query
		items, next, key, err := read(x)
		if err != nil {
			return nil, x.end(err)
		}
		// "{}" from something in between must not pass for an empty list. A list without meta is one page.
		if key == "" && items == nil {
			return nil, x.badAnswer("it is not a list")
		}
		all = append(all, items...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if value(next) == "" {
			return all, nil
		}
		var problem string
		if query, problem = x.followingPage(*next); problem != "" {
			return nil, x.badAnswer(problem)
		}
		if _, again := seen[query]; again {
			return nil, x.failed(&Error{Status: x.status, RequestID: x.requestID, Message: "a page comes twice", Err: ErrEndlessList})
		}
		seen[query] = struct{}{}
	}
	return nil, &Error{Operation: op.name, Message: "too many pages", Err: ErrEndlessList}
}

// followingPage takes the query out of a next_page_url. Its host is not used at all: credentials go to the configured
// host alone. (It also differs legitimately: behind a gateway, or in a region.) Its path must be the list's own.
func (x *exchange) followingPage(next string) (query, problem string) {
	u, err := url.Parse(next)
	switch {
	case err != nil:
		return "", "its next page has a malformed url"
	case u.RawQuery == "":
		return "", "its next page has no query"
	}
	_, list, _ := strings.Cut(x.path, "/v1/")
	if !strings.HasSuffix(u.Path, "/v1/"+list) {
		return "", "its next page is another list"
	}
	return u.RawQuery, ""
}
