"""The fast way to run the delivery task: one event loop sends, claims and records go in batches."""
