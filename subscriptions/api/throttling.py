"""How often a caller may ask: a rate per API key, and one per organization over all of its keys."""

import math
import time

from django.conf import settings

from subscriptions.api.authentication import Caller
from subscriptions.rate_limits import Bucket, Verdict, take
from webhooks_project.errors import DomainError


class RateLimitExceeded(DomainError):
    """Too many requests; Retry-After says when to try again."""

    status = 429
    code = "rate_limit_exceeded"


# Where a request's environment has the verdict, if the call was counted before it came to its view.
COUNTED = "runhooks.counted"


def count(caller: Caller, requests: int = 1) -> Verdict | None:
    """More requests of the caller, all or none of them; None where there are no limits."""
    buckets = [
        Bucket(
            f"organization:{caller.organization.pk}",
            settings.API_ORGANIZATION_RATE_PER_SECOND,
            settings.API_ORGANIZATION_BURST_REQUESTS,
        )
    ]
    if caller.key is not None:
        buckets.append(
            Bucket(f"key:{caller.key.pk}", settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS)
        )
    return take(*buckets, places=requests)


def headers(verdict: Verdict) -> dict[str, str]:
    """The three that most APIs have. The IETF's RateLimit fields are still a draft that changes its form."""
    return {
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time() + verdict.full_in_seconds)),
    }
