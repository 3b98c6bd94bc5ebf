"""Replays of many deliveries: what is wanted, what it would do, and carrying it out chunk by chunk."""
