"""What the layers above may want to know of a subscription, inside the same transaction."""

from django.dispatch import Signal

# Sent with `subscription` and `reason` when its owner deactivates or deletes it: nothing that still
# waits for it may be sent any more.
subscription_stopped = Signal()
