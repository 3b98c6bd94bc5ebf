"""The API and admin for WSGI servers (gunicorn in the reference set-up)."""

import sys

from django.core.wsgi import get_wsgi_application

from webhooks_project import collecting, connections
from webhooks_project.chunked import reading_chunked_bodies
from webhooks_project.env import choose_settings

choose_settings()
# 5 ms by default: so long a thread that computes may hold up the one that commits for all of them.
sys.setswitchinterval(0.0005)
connections.prepare()
_django = get_wsgi_application()

from delivery.api.lean import answering_events  # noqa: E402 - models, which Django has to know first

application = reading_chunked_bodies(answering_events(_django))
collecting.seldom()
