package twiliosim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// defaultPageSize is what Twilio uses when the client names none.
const defaultPageSize = 50

// meta describes a page of a list.
type meta struct {
	Page            int     `json:"page"`
	PageSize        int     `json:"page_size"`
	FirstPageURL    string  `json:"first_page_url"`
	PreviousPageURL *string `json:"previous_page_url"`
	URL             string  `json:"url"`
	NextPageURL     *string `json:"next_page_url"`
	Key             string  `json:"key"`
}

// listing is how a list is paged.
type listing struct {
	key         string // of the array in the answer
	maxSize     int
	defaultSize int  // defaultPageSize when 0
	tokenOnly   bool // refuse Page without PageToken
	byOffset    bool // the order is not that of creation, so a token can only count
	descending  bool // newest first
}

// Page tokens: the position of the item beside which the page starts, so that a list that changes between two pages
// neither repeats nor skips what was there all the time.
const (
	tokenAfter  = "PA" // after the item with this sequence number
	tokenBefore = "PB" // before it
	tokenOffset = "PO" // items to skip
)

// paginate answers with one page of items, which are in the order of the list.
func paginate[T identified](r *request, l listing, items []T, render func(T) any) (*reply, *apiError) {
	size, refusal := pageSize(r, l)
	if refusal != nil {
		return nil, refusal
	}
	page, token := 0, r.query.Get("PageToken")
	if r.query.Has("Page") {
		n, err := strconv.Atoi(r.query.Get("Page"))
		if err != nil || n < 0 {
			return nil, invalid("Page must be a number that is not negative")
		}
		page = n
	}
	if token == "" && page > 0 && l.tokenOnly {
		return nil, refuse(http.StatusBadRequest, codePageNotSupported,
			"Page is not supported without PageToken: follow meta.next_page_url")
	}
	start := page * size
	if token != "" {
		start, refusal = pageStart(token, size, items, l)
		if refusal != nil {
			return nil, refusal
		}
	}
	start = min(max(start, 0), len(items))
	end := min(start+size, len(items))

	rendered := make([]any, 0, end-start)
	for _, item := range items[start:end] {
		rendered = append(rendered, render(item))
	}
	link := func(page int, token string) *string {
		u := pageURL(r, size, page, token)
		return &u
	}
	m := meta{
		Page: page, PageSize: size, Key: l.key,
		FirstPageURL: pageURL(r, size, 0, ""),
		URL:          pageURL(r, size, page, token),
	}
	if end < len(items) {
		if l.byOffset {
			m.NextPageURL = link(page+1, fmt.Sprint(tokenOffset, end))
		} else {
			m.NextPageURL = link(page+1, fmt.Sprint(tokenAfter, items[end-1].position()))
		}
	}
	if start > 0 {
		switch {
		case l.byOffset || start == len(items):
			m.PreviousPageURL = link(max(page-1, 0), fmt.Sprint(tokenOffset, max(start-size, 0)))
		default:
			m.PreviousPageURL = link(max(page-1, 0), fmt.Sprint(tokenBefore, items[start].position()))
		}
	}
	return ok(map[string]any{l.key: rendered, "meta": m})
}

func pageSize(r *request, l listing) (int, *apiError) {
	size := l.defaultSize
	if size == 0 {
		size = defaultPageSize
	}
	if !r.query.Has("PageSize") {
		return size, nil
	}
	n, err := strconv.Atoi(r.query.Get("PageSize"))
	if err != nil || n < 1 || n > l.maxSize {
		return 0, invalid("PageSize must be a number from 1 to %d", l.maxSize)
	}
	return n, nil
}

// pageStart finds where the page of a token starts.
func pageStart[T identified](token string, size int, items []T, l listing) (int, *apiError) {
	if len(token) < 3 {
		return 0, invalid("Invalid PageToken")
	}
	at, err := strconv.ParseInt(token[2:], 10, 64)
	if err != nil || at < 0 {
		return 0, invalid("Invalid PageToken")
	}
	if token[:2] == tokenOffset {
		return int(at), nil
	}
	if l.byOffset {
		return 0, invalid("Invalid PageToken: it is of a list in another order")
	}
	beyond := func(e T) bool {
		if l.descending {
			return e.position() < at
		}
		return e.position() > at
	}
	switch token[:2] {
	case tokenAfter:
		if i := slices.IndexFunc(items, beyond); i >= 0 {
			return i, nil
		}
		return len(items), nil
	case tokenBefore:
		i := slices.IndexFunc(items, func(e T) bool { return e.position() == at || beyond(e) })
		if i < 0 {
			i = len(items)
		}
		return i - size, nil
	}
	return 0, invalid("Invalid PageToken")
}

// pageURL is the URL of a page of the list that is being asked for: its filters, then the page.
func pageURL(r *request, size, page int, token string) string {
	query := url.Values{}
	for name, values := range r.query {
		if name != "Page" && name != "PageSize" && name != "PageToken" {
			query[name] = values
		}
	}
	var b strings.Builder
	b.WriteString(r.url(r.path))
	b.WriteByte('?')
	if len(query) > 0 {
		b.WriteString(query.Encode())
		b.WriteByte('&')
	}
	fmt.Fprintf(&b, "PageSize=%d&Page=%d", size, page)
	if token != "" {
		b.WriteString("&PageToken=" + url.QueryEscape(token))
	}
	return b.String()
}
