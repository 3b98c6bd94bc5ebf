"""Local mode: the whole service on one machine, servers from wheels, nothing installed on the system."""
