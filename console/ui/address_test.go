package ui_test

import (
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/biocore-id/biocore/console/ui"
)

// list is a list that is read by keyset, as a service has it: a page begins after an item.
type list []int

func (l list) page(after string, size int) (items []int, next string) {
	from, _ := strconv.Atoi(after)
	for _, n := range l {
		if n <= from {
			continue
		}
		if len(items) == size {
			return items, strconv.Itoa(items[size-1])
		}
		items = append(items, n)
	}
	return items, ""
}

type reader struct {
	list *list
	a    ui.Address
	at   string // the address
}

func (r *reader) read(t *testing.T) ([]int, ui.Pager) {
	t.Helper()
	u, err := url.Parse(r.at)
	if err != nil {
		t.Fatal(err)
	}
	items, next := r.list.page(u.Query().Get("after"), 10)
	var p ui.Pager
	p.Turn(r.a, u.Query(), next)
	return items, p
}

func numbers(from, to int) []int {
	var all []int
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// A list is gone through to its end and back to its beginning, by the same pages.
func TestTurn(t *testing.T) {
	l := list(numbers(1, 45))
	r := reader{list: &l, a: ui.Address{Path: "/users", Query: url.Values{"state": {"blocked"}, "after": {"old"}, "back": {"old"}}}, at: "/users?state=blocked"}
	var there [][]int
	for {
		items, p := r.read(t)
		there = append(there, items)
		if (p.First == "") != (len(there) == 1) || (p.Before == "") != (len(there) == 1) {
			t.Errorf("page %d: first page at %q, the one before at %q", len(there), p.First, p.Before)
		}
		if p.Next == "" {
			break
		}
		r.at = p.Next
	}
	if len(there) != 5 || !slices.Equal(slices.Concat(there...), numbers(1, 45)) {
		t.Fatalf("pages %v", there)
	}
	for i := len(there) - 2; i >= 0; i-- {
		_, p := r.read(t)
		r.at = p.Before
		if items, _ := r.read(t); !slices.Equal(items, there[i]) {
			t.Errorf("back on page %d: %v, want %v", i+1, items, there[i])
		}
	}
	if r.at != "/users?state=blocked" {
		t.Errorf("the way back ends at %q", r.at)
	}
}

// What is deleted or added between two looks is no reason to pass anything over.
func TestTurnWhileItemsComeAndGo(t *testing.T) {
	l := list(numbers(101, 160))
	r := reader{list: &l, a: ui.Address{Path: "/"}, at: "/"}
	for range 3 { // to the fourth page, which begins after 130
		_, p := r.read(t)
		r.at = p.Next
	}
	here, p := r.read(t)
	l = slices.DeleteFunc(l, func(n int) bool { return n >= 123 && n <= 127 || n == 120 }) // of the page before, with the item that it begins after
	r.at = p.Before
	before, again := r.read(t)
	if want := []int{121, 122, 128, 129, 130, 131, 132, 133, 134, 135}; !slices.Equal(before, want) || here[0] != 131 {
		t.Errorf("the page before %v: %v, want %v", here, before, want)
	}
	r.at = again.Before
	l = append(numbers(91, 100), l...) // which push the others back
	if second, _ := r.read(t); second[0] != 111 || second[len(second)-1] != 121 {
		t.Errorf("the second page: %v", second)
	}
	l = l[:0]
	if none, p := r.read(t); len(none) != 0 || p.First != "/" || p.Next != "" {
		t.Errorf("when all are gone: %v, %+v", none, p)
	}
}

// Far into a list the address stays short; the first page is always one step away.
func TestTurnStaysShort(t *testing.T) {
	l := list(numbers(1, 1000))
	r := reader{list: &l, a: ui.Address{Path: "/"}, at: "/"}
	for range 99 {
		_, p := r.read(t)
		r.at = p.Next
	}
	if len(r.at) > 200 {
		t.Errorf("the address has %d bytes: %s", len(r.at), r.at)
	}
	steps := 0
	for {
		items, p := r.read(t)
		if p.First != "/" {
			t.Fatalf("the first page is at %q", p.First)
		}
		if p.Before == "" {
			if items[0] != 1000-10*steps-9 {
				t.Errorf("%d steps back is %v", steps, items)
			}
			break
		}
		r.at, steps = p.Before, steps+1
	}
	if steps != 24 {
		t.Errorf("%d steps back, want 24", steps)
	}
}

// What somebody writes into the address leads nowhere else.
func TestTurnOfAnyAddress(t *testing.T) {
	for _, q := range []string{"back=-", "after=x", "after=x&back=", "after=x&back=...", "after=x&back=a.-.b", "after=%00&back=%2F%2Felsewhere"} {
		asked, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		var p ui.Pager
		p.Turn(ui.Address{Path: "/users"}, asked, "next")
		for _, to := range []string{p.First, p.Before, p.Next} {
			if u, err := url.Parse(to); err != nil || u.Host != "" || to != "" && u.Path != "/users" {
				t.Errorf("%s leads to %q", q, to)
			}
		}
	}
}

// A word that begins as it should, or with no letter, stays as it is.
func TestUpper(t *testing.T) {
	for in, want := range map[string]string{"": "", "plain": "Plain", "MAC": "MAC", "WebAuthn's": "WebAuthn's", "256 bits": "256 bits", "école": "école"} {
		if got := ui.Upper(in); got != want {
			t.Errorf("Upper(%q) = %q", in, got)
		}
	}
}
