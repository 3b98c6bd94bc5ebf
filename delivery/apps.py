from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.models import Q

        from delivery import checks  # noqa: F401 - registers the system checks
        from delivery.callbacks import sealed_callback
        from delivery.models import Attempt, Delivery
        from delivery.pace import bring_forward_after_commit
        from delivery.services import stop_subscription
        from subscriptions import encrypted, sealing
        from subscriptions.signals import rate_limit_raised, subscription_stopped

        subscription_stopped.connect(stop_subscription, dispatch_uid="delivery.stop_subscription")
        rate_limit_raised.connect(bring_forward_after_commit, dispatch_uid="delivery.bring_forward")
        encrypted.register(
            encrypted.EncryptedColumn(Delivery, "callback", lambda: Q(finished_at=None)),
        )
        sealing.register(
            sealing.PlainUrl(Delivery, ("url", "callback"), sealed_callback),
            sealing.only_shown(Attempt, "url"),
        )
