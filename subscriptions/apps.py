from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.signals import request_finished
        from django.db.models import Q
        from django.db.models.functions import Now

        from subscriptions import encrypted, sealing
        from subscriptions.idempotency import RememberedAnswer
        from subscriptions.key_use import write_noted
        from subscriptions.models import ApiKey, SigningSecret, Subscription

        encrypted.register(
            encrypted.EncryptedColumn(SigningSecret, "encrypted_secret", lambda: ~Q(expires_at__lte=Now())),
            encrypted.EncryptedColumn(ApiKey, "encrypted_key", lambda: Q(revoked_at=None)),
            encrypted.EncryptedColumn(Subscription, "encrypted_headers", lambda: Q(deleted_at=None)),
            encrypted.EncryptedColumn(Subscription, "encrypted_url", lambda: Q(deleted_at=None)),
            encrypted.EncryptedColumn(RememberedAnswer, "encrypted_body"),
        )
        sealing.register(sealing.encrypted_beside(Subscription, "url", "encrypted_url"))
        from webhooks_project import openapi  # noqa: F401 - registers how callers authenticate

        request_finished.connect(write_noted, dispatch_uid="subscriptions.write_noted")
