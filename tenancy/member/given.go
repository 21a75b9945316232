package member

// Gives returns the roles that a member with the role r may make somebody a member with,
// and take from them, the mightiest first; none for most. It is for forms: Invite and
// Change judge by the same rule, on the rows as they are then.
func (r Role) Gives() []Role {
	var given []Role
	for _, one := range append(Roles(), StaffRoles()...) {
		if r.gives(one) {
			given = append(given, one)
		}
	}
	return given
}
