"""Events with so many recipients that workers make their deliveries, chunk by chunk."""
