package ledger

// AfterRead is called when a day's objects and rows were read, and nothing is written yet.
func (l *Ledger) AfterRead(fn func()) { l.afterRead = fn }
