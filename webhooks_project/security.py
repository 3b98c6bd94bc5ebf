"""What browsers and caches may do with our answers.

Content-Security-Policy: what a browser may run and load on our pages. A few lines of our own: Django
has this from 6.0 on, and packages for older versions know one policy for all answers. Answers that are
no pages may load nothing at all, should a browser ever show one.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "Content-Security-Policy"
# Templates of Django's admin and of our own, which have neither scripts nor styles in them.
STRICT = ("/admin/", "/portal/")


class ContentSecurityPolicyMiddleware:
    """One of three policies, by content type and path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.policies = {
            name: "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
            for name, policy in settings.CONTENT_SECURITY_POLICIES.items()
        }

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault(HEADER, self.policies[kind(request, response)])
        return response


class NoStoreMiddleware:
    """Answers hold secrets that are shown once: no cache on the way keeps one, unless a view says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def kind(request: HttpRequest, response: HttpResponseBase) -> str:
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return "data"
    return "strict" if request.path.startswith(STRICT) else "pages"
