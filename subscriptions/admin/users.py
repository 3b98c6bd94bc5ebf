"""Accounts of staff: nobody gives, or takes over by a new password, more than they have themselves."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import ManyToManyField, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from subscriptions import audit
from subscriptions.admin.base import BaseAdmin

admin.site.unregister(User)
admin.site.unregister(Group)
FACTS = ("username", "is_active", "is_staff", "is_superuser", "email")


def permissions_of(user: User) -> QuerySet[Permission]:
    """Of the account, be it active or not."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user)).distinct()


def has_all(request: HttpRequest, permissions: QuerySet[Permission]) -> bool:
    if request.user.is_superuser:
        return True
    names = permissions.values_list("content_type__app_label", "codename")
    return all(request.user.has_perm(f"{app}.{codename}") for app, codename in names)


def user_facts(user: User) -> dict[str, Any]:
    stored = User.objects.get(pk=user.pk)
    groups = sorted(stored.groups.values_list("name", flat=True))
    own = sorted(stored.user_permissions.values_list("codename", flat=True))
    return {name: getattr(stored, name) for name in FACTS} | {"groups": groups, "permissions": own}


def group_facts(group: Group) -> dict[str, Any]:
    stored = Group.objects.get(pk=group.pk)
    return {"name": stored.name, "permissions": sorted(stored.permissions.values_list("codename", flat=True))}


@admin.register(User)
class UserAdmin(BaseAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    def audited_id(self, object_: User) -> str:
        return audit.account(object_)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        if obj is None or request.user.is_superuser:
            return True
        return not obj.is_superuser and has_all(request, permissions_of(obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = ("last_login", "date_joined")
        if request.user.is_superuser:
            return fixed
        # Under another's name one would act as that other in whatever shows names.
        named = ("username",) if obj else ()
        return (*fixed, *named, "is_superuser", "user_permissions")

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "groups" and not request.user.is_superuser:
            may_give = [
                group.pk for group in Group.objects.all() if has_all(request, group.permissions.all())
            ]
            kwargs["queryset"] = Group.objects.filter(pk__in=may_give)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.facts_before = user_facts(obj) if change else {}  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: User, message: Any) -> Any:
        audit.record("user.created", audit.account(obj), organization=None, after=user_facts(obj))

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        before = getattr(obj, "facts_before", None)
        # Only a new password is saved past `save_model`.
        after = {"password": "changed"} if before is None else user_facts(obj)
        audit.record_change(
            "user.updated", audit.account(obj), organization=None, before=before or {}, after=after
        )

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        with transaction.atomic():
            names = [(audit.account(user), None) for user in queryset]
            audit.record_all("user.deleted", names)


def own_password_change(request: HttpRequest) -> HttpResponse:
    """Django's page, which alone would leave no entry."""
    user = request.user
    assert isinstance(user, User)
    with transaction.atomic():
        before = user.password
        answer = admin.site.password_change(request)
        if user.password != before:
            after = {"password": "changed"}
            audit.record("user.updated", audit.account(user), organization=None, after=after)
    return answer


@admin.register(Group)
class GroupAdmin(BaseAdmin, DjangoGroupAdmin):
    audited_as = "name"

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        obj.facts_before = group_facts(obj) if change else {}  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Group, message: Any) -> Any:
        audit.record("group.created", obj.name, organization=None, after=group_facts(obj))

    def log_change(self, request: HttpRequest, obj: Group, message: Any) -> Any:
        before = obj.facts_before  # type: ignore[attr-defined]
        audit.record_change(
            "group.updated", obj.name, organization=None, before=before, after=group_facts(obj)
        )

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        with transaction.atomic():
            audit.record_all("group.deleted", [(group.name, None) for group in queryset])
