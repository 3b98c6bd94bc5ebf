from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from runs import payloads
        from webhooks_project.roles import after_migrate

        payloads.register_all()
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="roles")
