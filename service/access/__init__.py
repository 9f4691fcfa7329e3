"""Who may do what: tokens with scopes, and what each route needs."""
