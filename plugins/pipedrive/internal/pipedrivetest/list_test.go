package pipedrivetest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// TestFilters has six activities, one a minute, and asks for some of them.
func TestFilters(t *testing.T) {
	t.Parallel()
	clock := NewManualClock(start)
	c := setup(t, Config{Now: clock.Now})
	for _, body := range []string{
		`{"participants":[{"person_id":7,"primary":true}],"deal_id":500,"done":true,"due_date":"2026-03-01"}`,
		`{"participants":[{"person_id":8,"primary":true},{"person_id":7,"primary":false}],"deal_id":501,"due_date":"2026-02-01","due_time":"10:00"}`,
		`{"participants":[{"person_id":7,"primary":true}],"lead_id":"adf21080-0e10-11eb-879b-05d71fb426ec","owner_id":1002,"due_date":"2026-02-01","due_time":"09:00"}`,
		`{"org_id":70,"done":true,"due_date":"2026-01-01"}`,
		`{"org_id":71,"due_date":"2026-02-01"}`,
		`{"participants":[{"person_id":7,"primary":true}],"due_date":"2026-04-01"}`,
	} {
		c.do("POST", "/api/v2/activities", body).want(t, 200)
		clock.Advance(time.Minute)
	}
	c.do("PATCH", "/api/v2/activities/2", `{"subject":"changed"}`).want(t, 200) // update_time 03:06
	for query, want := range map[string][]int{
		"":                          {1, 2, 3, 4, 5, 6},
		"person_id=7":               {1, 3, 6},
		"person_id=8":               {2},
		"person_id=9":               nil,
		"person_id=7&owner_id=1002": {3},
		"owner_id=1002":             {3},
		"owner_id=5":                nil,
		"deal_id=500":               {1},
		"org_id=71":                 {5},
		"lead_id=ADF21080-0e10-11eb-879b-05d71fb426ec": {3},
		"lead_id=3d2f1c60-77aa-4f0e-9d6b-2d9f3b1c5a11": nil,
		"done=true":                          {1, 4},
		"done=false&person_id=7":             {3, 6},
		"updated_since=2026-01-02T03:03:00Z": {2, 4, 5, 6},
		"updated_until=2026-01-02T03:03:00Z": {1, 3},
		"updated_since=2026-01-02T03:00:00Z&updated_until=2026-01-02T03:00:01Z": {1},
		"updated_since=2026-01-02T05:03:00%2B02:00":                             {2, 4, 5, 6},
		"ids=6,1,99":                              {1, 6},
		"ids=3&person_id=8":                       nil,
		"sort_direction=desc":                     {6, 5, 4, 3, 2, 1},
		"sort_by=update_time":                     {1, 3, 4, 5, 6, 2},
		"sort_by=update_time&sort_direction=desc": {2, 6, 5, 4, 3, 1},
		"sort_by=add_time&sort_direction=desc":    {6, 5, 4, 3, 2, 1},
		"sort_by=due_date":                        {4, 5, 3, 2, 1, 6},
		"limit=2":                                 {1, 2},
		"include_fields=attendees&limit=1":        {1},
	} {
		if got := c.list("?" + query).ids(); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
}

// pages reads all pages and returns the ids and the sizes of the pages.
func (c *crm) pages(query url.Values, between func(page int)) (ids, sizes []int) {
	c.t.Helper()
	for {
		got := c.list("?" + query.Encode())
		ids, sizes = append(ids, got.ids()...), append(sizes, len(got.Data))
		if got.Additional.Next == nil {
			return ids, sizes
		}
		if len(sizes) > 100 {
			c.t.Fatal("the pages do not end")
		}
		query.Set("cursor", *got.Additional.Next)
		between(len(sizes))
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"id", "update_time", "add_time", "due_date"} {
		for _, direction := range []string{"asc", "desc"} {
			t.Run(by+" "+direction, func(t *testing.T) {
				t.Parallel()
				c := setup(t, Config{})
				// Five share each second, and the sort key alone does not order them.
				for i := range 12 {
					at := start.Add(time.Duration(i%4) * time.Second)
					if err := c.Seed(Seeding{PersonID: 7, Count: 5, From: at}); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Seed(Seeding{PersonID: 8, Count: 40, From: start}); err != nil {
					t.Fatal(err)
				}
				query := url.Values{"person_id": {"7"}, "sort_by": {by}, "sort_direction": {direction}, "limit": {"7"}}
				ids, sizes := c.pages(query, func(int) {})
				if !slices.Equal(sizes, []int{7, 7, 7, 7, 7, 7, 7, 7, 4}) {
					t.Errorf("the pages have %v", sizes)
				}
				query.Del("cursor")
				query.Set("limit", "500")
				whole, _ := c.pages(query, func(int) {})
				if !slices.Equal(ids, whole) || len(whole) != 60 {
					t.Errorf("the pages give %v, the whole list is %v", ids, whole)
				}
			})
		}
	}
}

func TestPagingWhileActivitiesComeAndGo(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	if err := c.Seed(Seeding{PersonID: 7, Count: 20}); err != nil {
		t.Fatal(err)
	}
	left := 20
	ids, _ := c.pages(url.Values{"limit": {"5"}, "sort_direction": {"desc"}}, func(int) {
		c.do("POST", "/api/v2/activities", sms).want(t, 200) // in front of all pages
		left -= 5
		c.do("DELETE", fmt.Sprintf("/api/v2/activities/%d", left), "").want(t, 200) // the first of the next page
		left--
	})
	if want := []int{20, 19, 18, 17, 16, 14, 13, 12, 11, 10, 8, 7, 6, 5, 4, 2, 1}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	if err := c.Seed(Seeding{PersonID: 7, Count: 600, Step: -time.Second}); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]int{0: 100, 1: 1, 499: 499, 500: 500} {
		query := ""
		if limit > 0 {
			query = "?limit=" + strconv.Itoa(limit)
		}
		if got := len(c.list(query).Data); got != want {
			t.Errorf("limit %d: %d activities", limit, got)
		}
	}
	first := c.list("?limit=500")
	if rest := c.list("?limit=500&cursor=" + *first.Additional.Next); len(rest.Data) != 100 || rest.Additional.Next != nil {
		t.Errorf("the second page has %d, then %v", len(rest.Data), rest.Additional.Next)
	}
	c.do("GET", "/api/v2/activities?sort_direction=desc&cursor="+*first.Additional.Next, "").want(t, 400)
	c.do("GET", "/api/v2/activities?sort_by=add_time&cursor="+*first.Additional.Next, "").want(t, 400)
	empty := setup(t, Config{}).do("GET", "/api/v2/activities", "").want(t, 200)
	if empty.body != `{"success":true,"data":[],"additional_data":{"next_cursor":null}}` {
		t.Errorf("an empty list is %s", empty.body)
	}
}
