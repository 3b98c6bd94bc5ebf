"""What a browser may do with our pages, and what their cookies, sessions and passwords demand."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework.test import APIClient

from local.manage import environment, manage

CHECKOUT = Path(__file__).parent.parent.parent
PASSWORD = "Zq8-long-enough-text"
pytestmark = pytest.mark.usefixtures("organization")
PAGES = [
    "/admin/login/",
    "/admin/",
    "/docs",
    "/v1/webhooks",
    "/admin/nothing/here/",
    "/admin/password_change/",
    "/portal/org_never/",
    "/portal/nothing/here/",
]


def policy(response: object) -> dict[str, str]:
    text: str = response.headers["Content-Security-Policy"]  # type: ignore[attr-defined]
    return dict(part.strip().split(" ", 1) for part in text.split(";"))


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_our_own_scripts_only_and_in_no_frame(admin_client: Client, path: str) -> None:
    response = admin_client.get(path, HTTP_ACCEPT="text/html", follow=True)
    found = policy(response)

    assert response.headers["Content-Type"].startswith("text/html")
    assert (found["default-src"], found["script-src"]) == ("'none'", "'self'")
    assert (found["frame-ancestors"], found["base-uri"]) == ("'none'", "'none'")
    assert (found["style-src"] == "'self'") is path.startswith(("/admin", "/portal"))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_script_or_handler_in_itself(admin_client: Client, path: str) -> None:
    text = admin_client.get(path, HTTP_ACCEPT="text/html", follow=True).content.decode()
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", text, re.DOTALL)

    assert [
        a for a, body in scripts if "src=" not in a and "application/json" not in a and body.strip()
    ] == []
    assert not re.search(r"<[^>]+\son[a-z]+\s*=", text)
    assert "javascript:" not in text


def test_our_templates_have_no_scripts_handlers_or_styles_in_them() -> None:
    for template in CHECKOUT.glob("*/templates/**/*.html"):
        text = template.read_text()
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", text), template


def test_the_documentation_s_script_comes_on_its_own(api: APIClient) -> None:
    page = Client().get("/docs").content.decode()
    (url,) = re.findall(r'<script src="(/docs\?[^"]*)"', page)

    script = Client().get(url)

    assert script.headers["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle" in script.content


@pytest.mark.parametrize("path", ["/openapi.json", "/healthz", "/v1/webhooks", "/v1/nothing"])
def test_answers_that_are_no_pages_may_load_nothing(api: APIClient, path: str) -> None:
    response = api.get(path)

    assert policy(response) == dict.fromkeys(
        ("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_form_without_its_token_is_told_on_a_page_under_the_same_policy() -> None:
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x"})

    assert response.status_code == 403
    assert b"token is missing or too old" in response.content
    assert policy(response)["script-src"] == "'self'"


def logged_in() -> Client:
    client = Client()
    assert client.login(username="ops", password=PASSWORD)
    assert client.get("/admin/").status_code == 200
    return client


def test_a_new_password_ends_all_other_sessions_and_so_does_deactivation() -> None:
    user = User.objects.create_superuser("ops", password=PASSWORD)
    here, elsewhere = logged_in(), logged_in()
    new = f"{PASSWORD}-2"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}

    assert here.post("/admin/password_change/", fields).status_code == 302

    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert here.get("/admin/").status_code == 302


def test_cookies_are_out_of_scripts_reach_and_stay_on_the_site() -> None:
    User.objects.create_superuser("ops", password=PASSWORD)
    client = Client()
    client.get("/admin/login/")
    client.post("/admin/login/", {"username": "ops", "password": PASSWORD})
    flags = {name: (morsel["httponly"], morsel["samesite"]) for name, morsel in client.cookies.items()}

    assert flags == {"runhooks-session": (True, "Lax"), "runhooks-csrf": (True, "Lax")}
    assert client.session.get_expiry_age() <= 8 * 3600


@pytest.mark.parametrize("password", ["short-1x", "password1234", "123456789012", "operations-ops"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, User(username="operations-ops"))


def test_in_production_cookies_are_bound_to_the_host_and_https(tmp_path: Path) -> None:
    names = (
        "SESSION_COOKIE_NAME CSRF_COOKIE_NAME SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SECURE_HSTS_SECONDS "
    )
    names += "SECURE_HSTS_INCLUDE_SUBDOMAINS SECURE_HSTS_PRELOAD SECURE_SSL_REDIRECT SESSION_COOKIE_PATH"
    code = f"from django.conf import settings; print([getattr(settings, n) for n in {names.split()!r}])"
    env = environment("production", "postgres://u:p@127.0.0.1:1/none", tmp_path)

    status, output = manage(env, "shell", "--no-imports", "-c", code)

    assert status == 0, output
    assert "['__Host-session', '__Host-csrf', True, True, 31536000, True, True, True, '/']" in output


@pytest.mark.parametrize(
    "path", ["/v1/webhooks", "/v1/nothing", "/openapi.json", "/leap/v1/runs/x", "/eachlabs/v1/webhooks"]
)
def test_no_cache_keeps_what_the_api_answers(api: APIClient, path: str) -> None:
    for client in (api, APIClient()):
        assert client.get(path)["Cache-Control"] == "no-store"


def test_pages_for_people_and_refusals_before_any_view_are_kept_by_no_cache(admin_client: Client) -> None:
    for response in (admin_client.get("/admin/"), admin_client.get("/v1/webhooks", HTTP_HOST="evil.example")):
        assert "no-store" in response["Cache-Control"]


def test_a_filter_that_a_list_does_not_know_is_refused_on_a_page(admin_client: Client) -> None:
    response = admin_client.get("/admin/delivery/delivery/?event__data=1")

    assert (response.status_code, response.headers["Content-Type"]) == (400, "text/html; charset=utf-8")


def test_a_log_in_that_was_to_lead_elsewhere_leads_to_the_start_page(client: Client) -> None:
    User.objects.create_superuser("ops", password=PASSWORD)
    address = "/admin/login/?next=https://elsewhere.example/"

    response = client.post(address, {"username": "ops", "password": PASSWORD})

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
