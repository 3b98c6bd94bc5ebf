"""Wiring: settings, Celery, URLs and the one shape of errors. No business word lives here."""

from webhooks_project.celery import app as celery_app

__all__ = ["celery_app"]
