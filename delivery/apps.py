from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from delivery import checks  # noqa: F401 - registers the system checks
        from delivery.services import stop_subscription
        from subscriptions.signals import subscription_stopped

        subscription_stopped.connect(stop_subscription, dispatch_uid="delivery.stop_subscription")
