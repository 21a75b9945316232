package console

// Patterns are those of everything that a console has, for tests.
func (c *Console) Patterns() []string { return c.patterns }
