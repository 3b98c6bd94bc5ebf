"""For gunicorn. The API publishes tasks, so it needs the Celery application, too."""

from django.core.wsgi import get_wsgi_application

from benchmarks.naive.celery import app as app

application = get_wsgi_application()
