"""The API and admin for WSGI servers (gunicorn in the reference set-up)."""

from django.core.wsgi import get_wsgi_application

from webhooks_project import connections
from webhooks_project.chunked import reading_chunked_bodies
from webhooks_project.env import choose_settings

choose_settings()
connections.prepare()
application = reading_chunked_bodies(get_wsgi_application())
