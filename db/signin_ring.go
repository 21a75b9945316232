package db

import "github.com/google/uuid"

// ring holds the rows of one lane, a FIFO a tenant, and whose turn it is.
type ring struct {
	tenants map[uuid.UUID]*fifo
	turn    []*fifo // each of tenants once; the first is served next
	rows    int     // withdrawn ones included, until they are met
	spare   *fifo   // the last one dropped, for the next tenant that comes
}

func (g *ring) of(tenant uuid.UUID) *fifo {
	if f := g.tenants[tenant]; f != nil {
		return f
	}
	f := g.spare
	if g.spare = nil; f == nil {
		f = &fifo{}
	}
	f.tenant = tenant
	if g.tenants == nil {
		g.tenants = map[uuid.UUID]*fifo{}
	}
	g.tenants[tenant] = f
	g.turn = append(g.turn, f)
	return f
}

func (g *ring) pushBack(r *signInRow) {
	f := g.of(r.tenant)
	f.rows = append(f.rows, r)
	g.rows++
}

// pushFront is for rows that have had their turn and could not use it.
func (g *ring) pushFront(r *signInRow) {
	f := g.of(r.tenant)
	if f.head == 0 {
		f.rows = append(make([]*signInRow, 8, 8+2*len(f.rows)), f.rows...)
		f.head = 8
	}
	f.head--
	f.rows[f.head] = r
	g.rows++
}

// drop forgets an empty FIFO that is not in turn any more.
func (g *ring) drop(f *fifo) {
	delete(g.tenants, f.tenant)
	f.rows, f.head, f.dealt = f.rows[:0], 0, 0
	if cap(f.rows) <= 64 {
		g.spare = f
	}
}

// fifo is one tenant's rows in a lane.
type fifo struct {
	tenant uuid.UUID
	rows   []*signInRow // from head on
	head   int
	dealt  int // rows in the batch that is being filled
}

func (f *fifo) empty() bool { return f.head == len(f.rows) }

func (f *fifo) pop() *signInRow {
	r := f.rows[f.head]
	f.rows[f.head] = nil
	f.head++
	if f.head == len(f.rows) {
		f.rows, f.head = f.rows[:0], 0
	}
	return r
}
