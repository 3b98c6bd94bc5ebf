"""How it went: attempts counted by time, so that pages and metrics never count the log itself."""
