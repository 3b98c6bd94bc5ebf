from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.models import Q
        from django.db.models.signals import post_migrate

        from runs import payloads
        from runs.models import Run, Workflow, WorkflowVersion
        from runs.states import UNENDED
        from subscriptions import encrypted, sealing
        from webhooks_project.roles import after_migrate

        payloads.register_all()
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="roles")

        def current() -> Q:
            return Q(pk__in=Workflow.objects.values("version_id"))

        def unended() -> Q:
            return Q(status__in=sorted(UNENDED))

        encrypted.register(
            encrypted.EncryptedColumn(WorkflowVersion, "encrypted_headers", current),
            encrypted.EncryptedColumn(WorkflowVersion, "encrypted_webhook_url", current),
            encrypted.EncryptedColumn(Run, "encrypted_webhook_secret", unended),
            encrypted.EncryptedColumn(Run, "encrypted_webhook_url", unended),
        )
        sealing.register(
            sealing.encrypted_beside(WorkflowVersion, "webhook_url", "encrypted_webhook_url"),
            sealing.encrypted_beside(Run, "webhook_url", "encrypted_webhook_url"),
        )
