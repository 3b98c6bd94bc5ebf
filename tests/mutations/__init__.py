"""Each promise broken on purpose, in a copy, to see that a test notices: `make mutations`."""
