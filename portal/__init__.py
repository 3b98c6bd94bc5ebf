"""Pages for the platform's customers: each organization its own, behind a link that the platform makes."""
