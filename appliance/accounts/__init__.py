"""Who may use the pages: people, what each may do, sessions, tokens, and what everybody changed."""
