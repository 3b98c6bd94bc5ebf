from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.signals import request_finished

        from subscriptions.key_use import write_noted
        from webhooks_project import openapi  # noqa: F401 - registers how callers authenticate

        request_finished.connect(write_noted, dispatch_uid="subscriptions.write_noted")
