"""What is deleted by its age: attempts, bodies and events, in batches, each organization's by its days."""
