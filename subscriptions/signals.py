"""What the layers above may want to know of a subscription, inside the same transaction."""

from django.dispatch import Signal

# Sent with `subscription` and `reason` when its owner deactivates or deletes it: nothing that still
# waits for it may be sent any more.
subscription_stopped = Signal()

# Sent with `subscription` when its rate limit was raised or taken away: what waits for the old one need not.
rate_limit_raised = Signal()
