"""The API and admin for WSGI servers (gunicorn in the reference set-up)."""

from django.core.wsgi import get_wsgi_application

from webhooks_project.env import choose_settings

choose_settings()
application = get_wsgi_application()
