package twiliosim

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPaging(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 7 {
		all = append(all, w.sms(fmt.Sprintf("+1%d", i)).TaskSID)
	}
	// walk follows the links of a list and returns what it showed.
	walk := func(t *testing.T, page, link, key string) (sids []string) {
		t.Helper()
		for pages := 0; page != ""; pages++ {
			a := w.get(page)
			if a.status != 200 || pages > 10 {
				t.Fatalf("%s: status %d after %d pages", page, a.status, pages)
			}
			if a.text("meta", "key") != key {
				t.Fatalf("meta %v", a.body["meta"])
			}
			for _, item := range a.items(key) {
				sids = append(sids, item["sid"].(string))
			}
			page = a.text("meta", link)
		}
		return sids
	}
	list := w.server.URL + "/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks"

	t.Run("following next_page_url shows everything once", func(t *testing.T) {
		for _, query := range []string{"?PageSize=3", "?PageSize=7", "?PageSize=1000", "?PageSize=2&Ordering=Priority:asc"} {
			if diff := cmp.Diff(all, walk(t, list+query, "next_page_url", "tasks")); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		}
	})
	t.Run("the filters stay in the links", func(t *testing.T) {
		next := w.get(list+"?PageSize=3&AssignmentStatus=reserved&AssignmentStatus=pending").text("meta", "next_page_url")
		u, err := url.Parse(next)
		w.ok(err)
		if diff := cmp.Diff([]string{"reserved", "pending"}, u.Query()["AssignmentStatus"]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("previous_page_url goes back", func(t *testing.T) {
		second := w.get(list+"?PageSize=3").text("meta", "next_page_url")
		third := w.get(second).text("meta", "next_page_url")
		back := w.get(w.get(third).text("meta", "previous_page_url"))
		if got := back.items("tasks"); len(got) != 3 || got[0]["sid"] != all[3] {
			t.Errorf("back at %v", got)
		}
	})
	t.Run("a task that goes between two pages neither hides nor repeats another", func(t *testing.T) {
		first := w.get(list + "?PageSize=3")
		w.do("DELETE", "/v1/Workspaces/"+w.WorkspaceSID()+"/Tasks/"+all[1], nil)
		rest := walk(t, first.text("meta", "next_page_url"), "next_page_url", "tasks")
		if diff := cmp.Diff(all[3:], rest); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("conversations are listed newest first, page by page", func(t *testing.T) {
		got := walk(t, w.server.URL+"/v1/Conversations?PageSize=2", "next_page_url", "conversations")
		if len(got) != 7 || got[0] != w.State().Conversations[6].SID {
			t.Errorf("got %v", got)
		}
	})
	for name, tc := range map[string]struct {
		path string
		code int
	}{
		"Page without PageToken is refused for tasks": {list + "?Page=1", 40153},
		"a page size of 0 is refused":                 {list + "?PageSize=0", 20001},
		"a page size over the limit is refused":       {list + "?PageSize=1001", 20001},
		"a broken token is refused":                   {list + "?PageToken=x", 20001},
		"a strange token is refused":                  {list + "?PageToken=XX12", 20001},
		"a token of another order is refused":         {list + "?PageToken=PA12&Ordering=Priority:asc", 20001},
		"a negative page is refused":                  {w.server.URL + "/v1/Workspaces?Page=-1", 20001},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.get(tc.path); a.status != 400 || a.code() != tc.code {
				t.Errorf("status %d, code %d, want 400, %d", a.status, a.code(), tc.code)
			}
		})
	}
	t.Run("Page=0 is the first page", func(t *testing.T) {
		if a := w.get(list + "?Page=0&PageSize=2"); len(a.items("tasks")) != 2 {
			t.Errorf("status %d", a.status)
		}
	})
}
