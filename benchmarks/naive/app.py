"""Names the app, so that its tables are called `naive_…`."""

from django.apps import AppConfig


class NaiveConfig(AppConfig):
    name = "benchmarks.naive"
    label = "naive"
    default_auto_field = "django.db.models.BigAutoField"
