"""For machines: `/healthz` (the process answers), `/readyz` (the service can do its job), `/metrics`.

docs/operations.md has them.
"""

import hmac

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from delivery import metrics as delivery_metrics
from delivery.doctor.readiness import PARTS, readiness
from webhooks_project import measured


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """503 unless database, broker and workers do their job; `?exclude=broker,workers` leaves parts out.

    The API alone needs only the database, so that is what a load balancer in front of it asks for.
    """
    exclude = {part for value in request.GET.getlist("exclude") for part in value.split(",")}
    if unknown := exclude.difference(PARTS):
        detail = f"exclude: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}"
        return JsonResponse({"detail": detail, "code": "invalid", "field": "exclude"}, status=400)
    ready, answer = readiness(exclude)
    return JsonResponse(answer, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus; 404 unless METRICS_TOKEN is set, 401 unless it is presented."""
    if not settings.METRICS_TOKEN:
        raise Http404
    presented = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(presented, settings.METRICS_TOKEN.encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        page = delivery_metrics.page()
    except (Error, TimeoutError) as away:
        return HttpResponse(type(away).__name__, status=503, content_type="text/plain")
    return HttpResponse(page + measured.page(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
