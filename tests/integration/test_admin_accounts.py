"""Accounts in the audit: whoever acts is told apart from all others, whatever they are called."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Organization
from tests.admin_pages import member

ENTRIES = "/admin/subscriptions/auditentry/"
OLD, NEW = "correct horse battery", "Zq8-long-enough"


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def rename(client: Client, user: User, name: str) -> None:
    roles = list(user.groups.values_list("pk", flat=True))
    data = {"username": name, "is_active": "on", "is_staff": "on", "groups": roles}
    client.post(f"/admin/auth/user/{user.pk}/change/", data)


def listed(client: Client, query: dict[str, Any]) -> list[tuple[str, str]]:
    page = client.get(ENTRIES, query)
    return [(entry.action, entry.actor) for entry in page.context["cl"].result_list]


def test_an_administrator_renames_neither_themselves_nor_others() -> None:
    client = member("administrator")
    operator = User.objects.create_user("u_operator")

    rename(client, operator, "somebody")
    rename(client, User.objects.get(username="a-administrator"), "u_operator2")

    assert set(User.objects.values_list("username", flat=True)) == {"a-administrator", "u_operator"}


def test_an_administrator_names_new_accounts() -> None:
    client = member("administrator")

    client.post("/admin/auth/user/add/", {"username": "new", "password1": NEW, "password2": NEW})

    made = User.objects.get(username="new")
    entry = AuditEntry.objects.get(action="user.created")
    assert (entry.object_id, entry.after["username"]) == (f"new (#{made.pk})", "new")


def test_a_new_name_is_noted_with_the_old_one(root: Client) -> None:
    colleague = User.objects.create_user("colleague", is_staff=True)

    rename(root, colleague, "renamed")

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("user.updated", f"renamed (#{colleague.pk})")
    assert (entry.before, entry.after) == ({"username": "colleague"}, {"username": "renamed"})


def test_a_new_name_of_a_group_is_noted_with_the_old_one(root: Client) -> None:
    group = Group.objects.create(name="auditors")
    try:
        root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "readers"})

        assert AuditEntry.objects.get().before == {"name": "auditors"}
        assert AuditEntry.objects.get().after == {"name": "readers"}
    finally:
        group.delete()


def test_who_has_a_name_after_somebody_else_is_told_apart(root: Client, organization: Organization) -> None:
    first, second = member("administrator"), User.objects.create_user("second", is_staff=True)
    second.groups.add(Group.objects.get(name="administrator"))
    holder = User.objects.get(username="a-administrator")
    page = f"/admin/subscriptions/organization/{organization.pk}/change/"
    first.post(page, {"name": "By the first"})
    rename(root, holder, "elsewhere")
    rename(root, second, "a-administrator")
    client = Client()
    client.force_login(second)

    client.post(page, {"name": "By the second"})

    actors = AuditEntry.objects.filter(action="organization.updated").order_by("id")
    names = [f"a-administrator (#{user.pk})" for user in (holder, second)]
    assert list(actors.values_list("actor", flat=True)) == names
    assert listed(root, {"actor": names[0]}) == [("organization.updated", names[0])]
    assert listed(root, {"actor": "a-administrator"}) == [("organization.updated", names[1])]


def test_the_history_of_an_account_holds_what_happened_under_its_former_names(root: Client) -> None:
    colleague, other = (User.objects.create_user(name, is_staff=True) for name in ("colleague", "other"))
    for name in ("renamed", "again"):
        rename(root, colleague, name)
    rename(root, other, "colleague")

    history = root.get(f"/admin/auth/user/{colleague.pk}/history/", follow=True)
    by_name = root.get(ENTRIES, {"q": "again"})

    found = [entry.after["username"] for entry in history.context["cl"].result_list]
    assert found == ["again", "renamed"]
    assert [entry.after["username"] for entry in by_name.context["cl"].result_list] == ["again"]


def test_a_name_of_any_length_leaves_the_account_s_key_in_the_entry(root: Client) -> None:
    colleague = User.objects.create_user("n" * 150, is_staff=True)

    rename(root, colleague, "m" * 150)

    assert AuditEntry.objects.get().object_id.endswith(f"mm (#{colleague.pk})")


def test_changing_one_s_own_password_is_noted_without_values() -> None:
    client = member("viewer", password=OLD)
    viewer = User.objects.get()
    fields = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}

    refused = client.post("/admin/password_change/", fields | {"old_password": "wrong"})
    before = AuditEntry.objects.count()
    done = client.post("/admin/password_change/", fields)

    viewer.refresh_from_db()
    name = f"a-viewer (#{viewer.pk})"
    entry = AuditEntry.objects.get()
    assert (refused.status_code, before, done.status_code, viewer.check_password(NEW)) == (200, 0, 302, True)
    assert (entry.action, entry.object_id, entry.actor) == ("user.updated", name, name)
    assert (entry.before, entry.after) == ({}, {"password": "***"})
    assert client.get("/admin/").status_code == 200


def test_a_password_is_not_changed_where_no_entry_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    client = member("viewer", password=OLD)
    monkeypatch.setattr("subscriptions.audit.record", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        client.post(
            "/admin/password_change/", {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
        )

    assert User.objects.get().check_password(OLD)


def test_nobody_changes_a_password_without_logging_in() -> None:
    assert Client().get("/admin/password_change/").headers["Location"].startswith("/admin/login/")
