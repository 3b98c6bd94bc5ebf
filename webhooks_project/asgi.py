"""The API and admin for ASGI servers."""

from django.core.asgi import get_asgi_application

from webhooks_project.env import choose_settings

choose_settings()
application = get_asgi_application()
