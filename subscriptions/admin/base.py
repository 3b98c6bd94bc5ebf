"""What all admin pages share: bounded lists, actions that ask first, secrets shown once, records."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from subscriptions.admin.lookups import declared_lookups
from subscriptions.admin.paginator import BoundedPaginator
from webhooks_project.errors import DomainError

ACTION_OBJECTS_MAX = 1_000
# Where each object gets a message of its own: messages travel in a cookie of 2 KB.
ACTION_MESSAGES_MAX = 5
# Named on the page that asks whether an action is meant.
ACTION_OBJECTS_NAMED = 10


Work = Callable[[Any, HttpRequest, list[Any]], HttpResponseBase | None]
Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponseBase | None]


def asking_action(
    description: str, *, permission: str, note: str = "", most: int = ACTION_OBJECTS_MAX
) -> Callable[[Work], Action]:
    """Make an admin action of a method that does something with a list of objects.

    Only who has the `permission` is offered it. A page first says what is to be done with how many
    and which objects; what is confirmed there is done with exactly these.
    """

    def make(work: Work) -> Action:
        @wraps(work)
        def action(self: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase | None:
            asked: BaseAdmin = self
            objects = asked.chosen(request, queryset, most)
            if not objects:
                return None
            if "confirmed" not in request.POST:
                return asked.ask(request, work.__name__, description, note, objects)
            return work(self, request, objects) or asked.back_to_page(request, objects)

        action.permission = permission  # type: ignore[attr-defined]
        return admin.action(description=description)(action)

    return make


class BaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists that stay fast in big tables, and actions that ask first, each with a permission of its own.

    What has no index (the state of ended deliveries, a URL, an error) is found among the newest
    rows; where hardly any row matches, a time filter beside it spares reading the whole table.

    What changed is told by the audit entries of the services, so Django's own log is left empty.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Sorting by any other column would sort the whole table.
    sortable_by = ()
    change_form_template = "admin/change_form_with_actions.html"
    #: actions that its own page offers too, as buttons
    page_actions: ClassVar[tuple[str, ...]] = ()

    #: by which the audit knows an object
    audited_as: ClassVar[str] = "pk"
    #: lookups by which our own pages link to its list
    linked_by: ClassVar[frozenset[str]] = frozenset()

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """What list filters and our links use, else the list is a 400.

        Django allows any lookup of any column, which tells letter by letter what the page hides.
        """
        # PostgreSQL's texts hold no NUL.
        return "\0" not in value and lookup in self.linked_by | declared_lookups(self, request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        offered = super().get_actions(request)
        return {name: action for name, action in offered.items() if action and self._may(request, action[0])}

    @staticmethod
    def _may(request: HttpRequest, action: Any) -> bool:
        permission = getattr(action, "permission", None)
        return permission is None or request.user.has_perm(permission)

    def chosen(self, request: HttpRequest, queryset: QuerySet[Any], most: int) -> list[Any]:
        """What was ticked in the list, or what was shown on the page that asked."""
        if "chosen" not in request.POST:
            return self.bounded(request, queryset, most)
        rows = self.get_queryset(request)
        if self.list_select_related:
            rows = rows.select_related(*self.list_select_related)  # type: ignore[misc]
        try:
            return self.bounded(request, rows.filter(pk__in=request.POST["chosen"].split(",")), most)
        except (ValueError, ValidationError):
            raise Http404 from None

    def ask(
        self, request: HttpRequest, name: str, description: str, note: str, objects: list[Any]
    ) -> HttpResponse:
        """The page before an action: what, how many, the first few."""
        from_page = "from_page" in request.POST
        context = {
            **self.admin_site.each_context(request),
            "title": f"{description}: {self.numbered(len(objects))}",
            "opts": self.opts,
            "action": name,
            "description": description,
            "note": note,
            "named": [
                (self.page_of(object_), self.told(object_)) for object_ in objects[:ACTION_OBJECTS_NAMED]
            ],
            "more": max(0, len(objects) - ACTION_OBJECTS_NAMED),
            "chosen": ",".join(str(object_.pk) for object_ in objects),
            # Django wants at least one ticked; `chosen` is what counts.
            "checkbox": ACTION_CHECKBOX_NAME,
            "first": objects[0].pk,
            "from_page": from_page,
            "back": self.page_of(objects[0]) if from_page else request.get_full_path(),
        }
        return TemplateResponse(request, "admin/ask.html", context)

    def told(self, object_: Any) -> str:
        """One object on the page that asks."""
        return str(object_)

    def page_of(self, object_: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_.pk])

    def back_to_page(self, request: HttpRequest, objects: list[Any]) -> HttpResponse | None:
        """Who pressed a button on an object's page sees it again; None: the list."""
        return redirect(self.page_of(objects[0])) if "from_page" in request.POST else None

    def show_once(self, request: HttpRequest, secrets: Mapping[str, str], back: str) -> HttpResponse:
        """New secrets in this answer alone: a message would pass through a cookie or the sessions' table."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Shown this once",
            "opts": self.opts,
            "secrets": dict(secrets) if may_see_secrets(request) else {},
            "back": back,
        }
        return TemplateResponse(request, "admin/shown_once.html", context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        object_ = self.get_object(request, object_id)
        if object_ is None:
            raise Http404
        if not self.has_view_permission(request, object_):
            raise PermissionDenied
        return redirect(
            reverse("admin:subscriptions_auditentry_changelist", query={"q": self.audited_id(object_)})
        )

    def audited_id(self, object_: Any) -> str:
        return str(getattr(object_, self.audited_as))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Noted by the service."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Noted by the service."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Noted by the service."""

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
        """The messages of an action."""
        if succeeded:
            self.message_user(request, f"{done}: {self.numbered(len(succeeded))}.", messages.SUCCESS)
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
            (name, action[2])
            for name in (self.actions_of_page(obj) if obj else ())
            if (action := allowed.get(name))
        ]
        if obj is not None:
            context |= self.page_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the template of an object's page needs beside its fields."""
        return {}

    def actions_of_page(self, obj: Any) -> tuple[str, ...]:
        """Those of `page_actions` that make sense as the object stands."""
        return self.page_actions


def may_see_secrets(request: HttpRequest) -> bool:
    return request.user.has_perm("subscriptions.see_secrets")


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
