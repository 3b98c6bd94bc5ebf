"""What all views of the API share."""

from functools import cache
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from subscriptions.api import throttling
from subscriptions.api.authentication import Caller, UnknownOrganization
from subscriptions.api.totals import part
from subscriptions.models import Organization
from webhooks_project.errors import InvalidInput

LIMIT_DEFAULT = 50
LIMIT_MAX = 100
# PostgreSQL takes offsets up to 2^63; a billion is beyond any list that is kept.
OFFSET_MAX = 10**9

Row = TypeVar("Row", bound=Model)


class PageQuery(serializers.Serializer[Any]):
    """`limit` and `offset` of a list."""

    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT)
    offset = serializers.IntegerField(min_value=0, max_value=OFFSET_MAX, default=0)


class ListQuery(PageQuery):
    """The same with the order, which each list has one of its own for."""

    ordering = serializers.ChoiceField(
        choices=[("created_at", "oldest first"), ("-created_at", "newest first")], required=False
    )


class OrganizationViewSet(viewsets.ViewSet):
    """A view whose every query starts from the caller's organization."""

    read_scope: str | None = None
    write_scope: str | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for text in (*kwargs.values(), *request.query_params.values()):
            if "\x00" in str(text):
                raise InvalidInput("NUL characters are not allowed in addresses.", code="bad_character")

    def perform_authentication(self, request: Request) -> None:
        """Whoever is known is counted, before anything else is looked at; raises RateLimitExceeded."""
        try:
            super().perform_authentication(request)
        except UnknownOrganization as error:
            self._count(request, error.caller)
            raise
        if isinstance(request.auth, Caller):
            self._count(request, request.auth)

    def _count(self, request: Request, caller: Caller) -> None:
        known = request.META
        verdict = known[throttling.COUNTED] if throttling.COUNTED in known else throttling.count(caller)
        if verdict is None:
            return
        self.headers |= throttling.headers(verdict)
        if not verdict.is_allowed:
            raise throttling.RateLimitExceeded(retry_after_seconds=verdict.wait_seconds)

    @property
    def caller(self) -> Caller:
        auth = self.request.auth
        assert isinstance(auth, Caller)
        return auth

    @property
    def organization(self) -> Organization:
        return self.caller.organization

    @property
    def owners_view(self) -> dict[str, Any]:
        """The context of a serializer: who reads this may see URLs in full."""
        return {"full_urls": self.read_scope is not None and self.caller.sees_full_urls(self.read_scope)}


def valid(serializer: type[BaseSerializer[Any]], data: Any, **kwargs: Any) -> dict[str, Any]:
    """The validated values of `data`; raises ValidationError, which becomes a 422."""
    instance = serializer(data=data, **kwargs)
    instance.is_valid(raise_exception=True)
    values: dict[str, Any] = instance.validated_data
    return values


# Validating leaves nothing behind in them, so threads may share them.
_kept: dict[type[BaseSerializer[Any]], BaseSerializer[Any]] = {}


def checked(serializer: type[BaseSerializer[Any]], data: Any) -> dict[str, Any]:
    """The same, for bodies that come by the hundred: to make a serializer costs more than to ask it."""
    try:
        kept = _kept.get(serializer) or _kept.setdefault(serializer, serializer())
        values: dict[str, Any] = kept.run_validation(data)
    except ValidationError:
        return valid(serializer, data)  # which says what is wrong as everywhere else
    return values


@cache
def page_of(name: str, shape: type[BaseSerializer[Any]]) -> Any:
    """The shape of `page`'s answer, for the OpenAPI document."""
    fields = {
        name: shape(many=True),
        "total": serializers.IntegerField(),
        "limit": serializers.IntegerField(),
        "offset": serializers.IntegerField(),
    }
    described = inline_serializer(f"{shape.__name__}Page", fields)
    # The answer of a list is this one object, not an array of them.
    return extend_schema_serializer(many=False)(type(described))()


def in_order(rows: QuerySet[Row], ordering: str | None) -> QuerySet[Row]:
    """The rows as asked. Each list is ordered by when its rows were made, in one direction or the other: both
    are read from the same index."""
    is_newest_first = str(rows.query.order_by[0]).startswith("-")
    if ordering is None or ordering.startswith("-") == is_newest_first:
        return rows
    return rows.reverse()


def page(
    request: Request,
    name: str,
    rows: QuerySet[Row],
    shape: type[BaseSerializer[Any]],
    context: dict[str, Any] | None = None,
) -> Response:
    """A list in seed 001's form: the named array, `total`, `limit`, `offset`."""
    query = valid(ListQuery, request.query_params)
    limit, offset = query["limit"], query["offset"]
    found = part(in_order(rows, query.get("ordering")), offset, limit)
    return Response(
        {
            name: shape(found.rows, many=True, context=context or {}).data,
            "total": found.total,
            "limit": limit,
            "offset": offset,
        }
    )
