"""The API and admin for WSGI servers; production runs webhooks_project/asgi.py."""

import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from webhooks_project import collecting, connections
from webhooks_project.chunked import reading_chunked_bodies
from webhooks_project.env import choose_settings

choose_settings()
# 5 ms by default: so long a thread that computes may hold up the event loop, and who commits for all of them.
sys.setswitchinterval(0.0005)
connections.prepare()
django = get_wsgi_application()

# Models, which Django has to know first.
from delivery.api import lean  # noqa: E402
from runs.api.lean import answering_runs  # noqa: E402

lean.prepare()
#: all but plain reports of events
ordinary = answering_runs(django)
if settings.TRACING:
    from webhooks_project.spans import traced

    # A call keeps its thread, and with it its span: no short way for runs.
    ordinary = traced(lean.answering_events(django))
    application = reading_chunked_bodies(ordinary)
else:
    application = reading_chunked_bodies(lean.answering_events(ordinary))
collecting.seldom()
