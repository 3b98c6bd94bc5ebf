"""What all admin pages share: bounded lists and actions, read-only records, actions on a page."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db import OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from webhooks_project.errors import DomainError

ACTION_OBJECTS_MAX = 1_000
# Where each object gets a message of its own: messages travel in a cookie of 2 KB.
ACTION_MESSAGES_MAX = 5
COUNTED_ROWS_MAX = 10_000
COUNT_MAX_MILLISECONDS = 500


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Never counts a big table, nor skips more than COUNTED_ROWS_MAX rows of it.

    The number is exact up to there. Beyond, or if counting takes long, it is PostgreSQL's own
    estimate where nothing is filtered, else the bound plus one.
    """

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        if not self.object_list.query.where:
            estimate = estimated_rows(self.object_list.model)
            if estimate > COUNTED_ROWS_MAX:
                return estimate
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [COUNT_MAX_MILLISECONDS])
                return self.object_list.order_by()[: COUNTED_ROWS_MAX + 1].count()
        except OperationalError:
            # Few rows match among many that do not: the page may still find its first hundred.
            return COUNTED_ROWS_MAX + 1

    @cached_property
    def num_pages(self) -> int:
        return -(-max(1, min(self.count, COUNTED_ROWS_MAX)) // self.per_page)


def estimated_rows(model: type[Model]) -> int:
    """As of the table's last VACUUM or ANALYZE; -1 before the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table]
        )
        return int(cursor.fetchone()[0])


class BaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists that stay fast in big tables, and actions for those who may change the model.

    What has no index (the state of ended deliveries, a URL, an error) is found among the newest
    rows; where hardly any row matches, a time filter beside it spares reading the whole table.

    The action permission `operate` is the model's change permission of Django, also where the page
    itself is read-only.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Sorting by any other column would sort the whole table.
    sortable_by = ()
    change_form_template = "admin/change_form_with_actions.html"
    #: actions that its own page offers too, as buttons
    page_actions: ClassVar[tuple[str, ...]] = ()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def bounded(
        self, request: HttpRequest, queryset: QuerySet[Any], most: int = ACTION_OBJECTS_MAX
    ) -> list[Any]:
        """The selected objects, oldest first; none, and a message, if there are more than `most`."""
        objects = list(queryset.order_by("pk")[: most + 1])
        if len(objects) <= most:
            return objects
        self.message_user(request, f"Nothing was done: select at most {most:,} at once.", messages.ERROR)
        return []

    def do_each(
        self,
        request: HttpRequest,
        objects: list[Any],
        work: Callable[[Any], object],
        done: str,
    ) -> None:
        """Do `work`, a service, with each; say how many are `done`, and how many were refused and why."""
        succeeded: list[Any] = []
        refusals: list[str] = []
        for object_ in objects:
            try:
                work(object_)
            except DomainError as error:
                refusals.append(error.detail)
            else:
                succeeded.append(object_)
        self.report(request, done, succeeded, refusals)

    def report(self, request: HttpRequest, done: str, succeeded: list[Any], refusals: list[str]) -> None:
        """The messages of an action, and its lines in the objects' histories."""
        if succeeded:
            self.message_user(request, f"{done}: {self.numbered(len(succeeded))}.", messages.SUCCESS)
            LogEntry.objects.log_actions(cast("int", request.user.pk), succeeded, CHANGE, f"{done}.")
        if refusals:
            text = f"Skipped: {self.numbered(len(refusals))}. The first: {refusals[0]}"
            self.message_user(request, text, messages.WARNING)

    def numbered(self, number: int) -> str:
        return f"{number:,} {self.opts.verbose_name if number == 1 else self.opts.verbose_name_plural}"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        allowed = self.get_actions(request)
        context["page_actions"] = [
            (name, action[2]) for name in self.page_actions if obj and (action := allowed.get(name))
        ]
        return super().render_change_form(request, context, add, change, form_url, obj)


class ReadOnlyAdmin(BaseAdmin):
    """Records that are written by the service itself: `fields` are shown, nothing can be edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)
