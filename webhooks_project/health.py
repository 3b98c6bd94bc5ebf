"""Probes: `/healthz` (the process answers) and `/readyz` (it can do its job)."""

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse

from delivery.canary import age_seconds


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """503 while the database is away. Workers are shown but not demanded: the API works without."""
    try:
        canary = age_seconds()
    except Error as error:
        connection.close()
        return JsonResponse({"status": "unavailable", "database": type(error).__name__}, status=503)
    age = None if canary is None else round(canary, 1)
    return JsonResponse({"status": "ok", "database": "ok", "worker_seen_seconds_ago": age})
