"""Probes: `/healthz` (the process answers) and `/readyz` (the service can do its job). docs/operations.md."""

from django.http import HttpRequest, JsonResponse

from delivery.doctor.readiness import PARTS, readiness


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
