"""Canary secrets are planted everywhere, everything happens that can go wrong, and none is found again."""

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
import pytest
import redis
import requests
from cryptography.fernet import Fernet

from local import temporary
from local.files import CHECKOUT
from local.stack import Stack, StackConfig
from tests.e2e.canaries import Aviary, pages
from tests.e2e.conftest import eventually
from tests.receiver import Receiver, Reply
from tests.smtp import RefusingMailServer

# What each call that fails is given: every field that takes a secret, in a shape that is refused.
BAD_SUBSCRIPTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "secret too long": lambda secret: {"secret": secret * 20},
    "secret of another kind": lambda secret: {"secret": [secret]},
    "header name": lambda secret: {"headers": {f"Authorization: {secret}": "x"}},
    "header value": lambda secret: {"headers": {"X-Own": f"{secret}\n"}},
    "reserved header": lambda secret: {"headers": {"Host": secret}},
    "headers of another kind": lambda secret: {"headers": secret},
    "user and password": lambda secret: {"url": f"https://user:{quote(secret, safe='')}@hooks.example.com/"},
    "address": lambda secret: {"url": f"https://10.0.0.1/?token={quote(secret, safe='')}"},
    "masked": lambda secret: {"url": f"https://hooks.example.com/?token=***&b={quote(secret, safe='')}"},
    "scheme": lambda secret: {"signature_schemes": [secret]},
    "format": lambda secret: {"payload_format": secret},
    "number": lambda secret: {"timeout_seconds": secret},
    "flag": lambda secret: {"is_active": secret},
    "the whole body": lambda secret: {"unknown": secret},
}


class Planted:
    """The system with its canaries; every answer and page is looked at as it comes."""

    def __init__(self, stack: Stack, aviary: Aviary, receiver: Receiver) -> None:
        self.stack, self.aviary, self.receiver = stack, aviary, receiver
        self.organization_id = ""
        self.key = aviary.add("api-key", stack.manage(*MAKE_KEY, "--signs").strip())
        self.reader = aviary.add("plain-api-key", stack.manage(*MAKE_KEY).strip())

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        answer = requests.request(
            method, self.stack.base_url + path, json=body, headers=headers, timeout=30, **options
        )
        self.aviary.look(f"answer {method} {path}", f"{answer.headers}\n{answer.text}")
        return answer

    def made(self, path: str, **body: Any) -> Any:
        answer = self.call("POST", path, body)
        assert answer.ok, answer.text
        return answer.json()

    def path(self, path: str) -> str:
        """With the token that the receiver is to get."""
        return f"{path}?token={quote(self.aviary.secrets['url'], safe='')}"

    def subscribe(self, path: str, **values: Any) -> Any:
        known = self.aviary.secrets
        defaults = {
            "name": path,
            "url": self.receiver.url(self.path(path)),
            "events": ["canary.told"],
            "secret": known["text"],
            "headers": {
                "X-Own": known["header"],
                "Authorization": f"Bearer {known['bearer']}",
            },
            "signature_schemes": ["standard_webhooks", "hmac_sha256_hex", "shared_secret"],
            "retry_schedule": [0.2],
        }
        made = self.made("/v1/webhooks", **defaults | values)
        # Shown this once, looked for from now on.
        self.aviary.add(f"whsec of {path}", made["signing_secret"].removeprefix("whsec_"))
        return made

    def states(self) -> list[str]:
        answer = self.call("GET", "/v1/deliveries?limit=100")
        return [delivery["state"] for delivery in answer.json()["deliveries"]]

    def sql(self, statement: str) -> None:
        with closing(psycopg2.connect(self.stack.settings["DATABASE_URL"])) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    @contextmanager
    def refusing(self, table: str, condition: str) -> Iterator[None]:
        """The database refuses such rows, and says in its error what is in them."""
        self.sql(f"ALTER TABLE {table} ADD CONSTRAINT canary CHECK ({condition}) NOT VALID")
        yield
        self.sql(f"ALTER TABLE {table} DROP CONSTRAINT canary")

    def command(self, *arguments: str, **env: str) -> int:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env={**self.stack.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        self.aviary.look(f"command {arguments[0]}", done.stdout + done.stderr)
        return done.returncode


MAKE_KEY = ("create_api_key", "--organization", "canaries", "--email", "ops@acme.example")

#: where a canary may be seen, and why
ALLOWED: tuple[tuple[str, str, str], ...] = (
    ("url", r"answer \w+ /v1/webhooks(/\d+)?(\?.*)?$", "its owner reads the URL as it was registered"),
    ("url", r"answer \w+ /v1/(runs|workflows).*", "the same of a run's and a workflow's URL"),
    ("url", r"answer \w+ /skyvern/v1/.*", "Skyvern's callers read the request that they made"),
)


def unexpected(aviary: Aviary) -> list[tuple[str, str]]:
    def allowed(name: str, place: str) -> bool:
        return any(name == of and re.fullmatch(where, place) for of, where, _ in ALLOWED)

    return sorted({(name, place) for name, place in aviary.seen if not allowed(name, place)})


def echoing(status: int, receiver: Receiver, path: str) -> None:
    """A receiver that sends back all that it was sent, in every form, and more than is kept."""
    reply = Reply(status)

    def echo(handler: BaseHTTPRequestHandler) -> None:
        said = f"{handler.path}\n{handler.headers}"
        values = [value for value in handler.headers.values() if value.isprintable()]
        forms = [*values, *map(quote, values), *(base64.b64encode(v.encode()).decode() for v in values)]
        reply.body = "\n".join((said, *forms, base64.b64encode(said.encode()).decode())).encode() * 3
        reply.headers = {f"X-Echo-{number}": form[:4000] for number, form in enumerate(forms)}
        reply.headers["Location"] = handler.path

    reply.before = echo
    receiver.reply(reply, path=path)


@pytest.fixture(scope="module")
def mail() -> Iterator[RefusingMailServer]:
    with RefusingMailServer() as running:
        yield running


@pytest.fixture(scope="module")
def planted(mail: RefusingMailServer) -> Iterator[Planted]:
    aviary = Aviary()
    for name in ("url", "text", "header", "bearer", "workflow-header", "callback", "admin", "bad"):
        aviary.add(name)
    env = {
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mail.port),
        "EMAIL_HOST_USER": "runhooks",
        "EMAIL_HOST_PASSWORD": aviary.add("mail"),
        "EMAIL_USE_TLS": "false",
        "METRICS_TOKEN": aviary.add("metrics"),
        "ENCRYPTION_KEYS": aviary.add("encryption", Fernet.generate_key().decode()),
        "SECRET_KEY": aviary.add("session", "session-key-0123456789/0123456789+abcdefghijkl=mnop"),
        "LOG_LEVEL": "DEBUG",
        "DELIVERY_LEASE_MARGIN_SECONDS": "2",
        "DJANGO_SUPERUSER_PASSWORD": aviary.secrets["admin"],
    }
    with (
        temporary.folder() as folder,
        Receiver() as receiver,
        Stack(StackConfig(data_dir=folder, concurrency=8, durable=False, env=env)) as stack,
    ):
        for name in ("DATABASE_URL", "BROKER_URL"):
            aviary.add(name, urlsplit(stack.settings[name]).password)
        stack.manage("createsuperuser", "--no-input", "--username", "root", "--email", "root@acme.example")
        yield Planted(stack, aviary, receiver)


def everything_is_told(planted: Planted) -> None:
    """Accepted, echoed with failures, malformed, gone, refused, without TLS; runs with callbacks."""
    receiver, path = planted.receiver, planted.path
    for number, status in enumerate((200, 500, 302)):
        echoing(status, receiver, path(f"/echo-{number}"))
        planted.subscribe(f"/echo-{number}")
    receiver.reply(Reply(before=nonsense), path=path("/nonsense"))
    receiver.reply(410, path=path("/gone"))
    planted.subscribe("/nonsense")
    planted.subscribe("/gone")
    planted.subscribe("/told", events=["subscription.disabled"])
    tls = planted.receiver.url(path("/tls")).replace("http:", "https:")
    planted.subscribe("/tls", url=tls)
    refused = planted.subscribe("/refused", url=planted.receiver.url(path("/refused")))
    moved = (
        "from subscriptions.secrets import sealed_url; from subscriptions.models import Subscription as S; "
    )
    moved += f"u, t = sealed_url('http://10.0.0.1{path('/refused')}'); "
    moved += f"S.objects.filter(pk={refused['id']}).update(url=u, encrypted_url=t, version=99)"
    planted.stack.manage("shell", "-v", "0", "-c", moved)
    planted.made("/v1/events", event_type="canary.told", data={})
    echoing(500, receiver, path("/callback"))
    runs_end(planted, receiver.url(path("/callback")))


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header at all\r\n\r\n")
    handler.close_connection = True


def runs_end(planted: Planted, url: str) -> None:
    """Runs of three systems, whose callbacks have a URL, a secret or headers."""
    secrets = planted.aviary.secrets
    own = planted.made(
        "/v1/workflows",
        name="W",
        webhook_url=url,
        headers={"X-Workflow": secrets["workflow-header"]},
        retry_schedule=[0.2],
        signature_schemes=["standard_webhooks", "hmac_sha256_hex"],
    )
    made = [planted.made("/v1/runs", workflow_id=own["id"])["id"]]
    made.append(planted.made("/v1/runs", workflow_id=own["id"], webhook_url=url)["id"])
    rotated = planted.made(f"/v1/workflows/{own['id']}/rotate-secret")
    planted.aviary.add("whsec of a workflow", rotated["signing_secret"].removeprefix("whsec_"))
    sky = planted.made("/skyvern/v1/run/tasks", prompt="p", webhook_url=url)
    made.append(sky["run_id"])
    flow = planted.made("/v1/workflows", name="E", dialect="eachlabs")
    body = {"inputs": {}, "webhook_url": url, "webhook_secret": secrets["callback"]}
    made.append(planted.made(f"/eachlabs/api/v1/{flow['id']}/trigger", **body)["execution_id"])
    for run in made:
        planted.made(f"/v1/runs/{run}/start")
        planted.made(f"/v1/runs/{run}/complete", output={})
    planted.call("POST", f"/skyvern/v1/runs/{made[2]}/retry_webhook", {})
    for run in made:
        planted.call("GET", f"/v1/runs/{run}/webhooks")
    planted.call("GET", f"/skyvern/v1/runs/{made[2]}")


def calls_fail(planted: Planted) -> None:
    """Refused by the API, and by the database in the middle of a request and of a task."""
    bad = planted.aviary.secrets["bad"]
    good = {"name": "Hook", "url": "https://hooks.example.com/in", "events": ["*"]}
    for what, values in BAD_SUBSCRIPTIONS.items():
        answer = planted.call("POST", "/v1/webhooks", good | values(bad))
        assert answer.status_code == 422, f"{what}: {answer.text}"
    assert planted.call("POST", "/v1/webhooks", f'{{"secret": "{bad}"').status_code in (400, 422)
    for headers in ({"Authorization": f"Bearer {bad}"}, {"X-API-Key": bad, "Authorization": ""}):
        assert planted.call("GET", "/v1/webhooks", headers=headers).status_code == 401
    assert planted.call("GET", "/metrics", headers={"Authorization": f"Bearer {bad}"}).status_code == 401
    told = planted.call(
        "GET", "/metrics", headers={"Authorization": f"Bearer {planted.aviary.secrets['metrics']}"}
    )
    assert told.ok
    with planted.refusing("subscriptions_subscription", "name <> 'broken'"):
        secret = {
            "secret": bad,
            "headers": {"X-Own": bad},
            "url": f"{good['url']}?token={quote(bad, safe='')}",
        }
        assert planted.call("POST", "/v1/webhooks", good | secret | {"name": "broken"}).status_code == 500
    with planted.refusing("delivery_attempt", "event_type <> 'canary.broken'"):
        planted.subscribe("/broken", events=["canary.broken"])
        planted.made("/v1/events", event_type="canary.broken", data={})
        planted.receiver.wait_for(1, planted.path("/broken"))
        log = planted.stack.processes["worker-1"]
        eventually(lambda: "violates check constraint" in log.output(), 20, "the task has failed")


def commands_fail(planted: Planted) -> None:
    command, bad = planted.command, planted.aviary.secrets["bad"]
    settings = planted.stack.settings
    password = urlsplit(settings["DATABASE_URL"]).password or ""
    assert command("create_api_key", "--organization", "canaries", "--scopes", "none") != 0
    assert command("doctor", ENCRYPTION_KEYS=Fernet.generate_key().decode()) != 0
    assert command("check", ENCRYPTION_KEYS=bad) != 0
    assert command("check", DATABASE_URL=f"postgres://user:{bad}@127.0.0.1/x") != 0
    assert (
        command("migrate", DATABASE_URL=settings["DATABASE_URL"].replace(password, quote(bad, safe=""))) != 0
    )
    assert command("check", BROKER_URL=f"redis://:{bad}@127.0.0.1/0") != 0
    command("replay_deliveries", "--state", "exhausted", "--since", "2020-01-01", "--dry-run")


def people_fail(planted: Planted) -> requests.Session:
    """A wrong password, a form with errors; then a session that is in."""
    base, secrets = planted.stack.base_url, planted.aviary.secrets
    session = requests.Session()

    def post(path: str, **form: Any) -> requests.Response:
        found = re.search(
            r'name="csrfmiddlewaretoken" value="(\w+)"', session.get(base + path, timeout=30).text
        )
        assert found, path
        form["csrfmiddlewaretoken"] = found[1]
        answer = session.post(base + path, data=form, timeout=30)
        planted.aviary.look(f"form {path}", f"{answer.headers}\n{answer.text}")
        return answer

    post("/admin/login/", username="root", password=secrets["bad"])
    entered = post("/admin/login/", username="root", password=secrets["admin"], next="/admin/")
    assert "Site administration" in entered.text
    headers = f'{{"X-Own": "{secrets["bad"]}"}}'
    form = {"name": "", "url": "https://hooks.example.com/", "secret": secrets["bad"], "headers": headers}
    assert "errornote" in post("/admin/subscriptions/subscription/add/", **form).text
    return session


def a_worker_is_killed(planted: Planted) -> None:
    planted.receiver.hang(planted.path("/hangs"))
    planted.subscribe("/hangs", events=["canary.hangs"], timeout_seconds=1)
    planted.made("/v1/events", event_type="canary.hangs", data={})
    planted.receiver.wait_for(1, planted.path("/hangs"))
    planted.stack.processes["worker-1"].kill()
    planted.receiver.recover(planted.path("/hangs"))


def messages_wait(planted: Planted) -> None:
    """Nobody takes them: what the broker holds then is looked at."""
    planted.subscribe("/waits", events=["canary.waits"])
    planted.made("/v1/events", event_type="canary.waits", data={})
    with closing(redis.Redis.from_url(planted.stack.settings["BROKER_URL"])) as client:
        eventually(lambda: client.keys("*deliveries.first"), 10, "a message waits")
    planted.aviary.look_everywhere(planted.stack)


@pytest.mark.timeout(420)
def test_no_secret_is_found_anywhere(planted: Planted, mail: RefusingMailServer) -> None:
    aviary, stack = planted.aviary, planted.stack

    everything_is_told(planted)
    calls_fail(planted)
    commands_fail(planted)
    ended = {"delivered", "exhausted", "blocked", "held", "cancelled"}
    eventually(lambda: set(planted.states()) - {"waiting"} <= ended, 60, "all was tried")
    assert mail.refused.acquire(timeout=60), "the mail of a disabled subscription was tried"
    a_worker_is_killed(planted)
    messages_wait(planted)
    stack.restart("worker-1")
    session = people_fail(planted)
    lists = ("/v1/webhooks", "/v1/runs", "/v1/workflows", "/v1/deliveries", "/v1/webhooks/logs/all")
    for place, text in pages(session, stack.base_url, "/admin/", "/openapi.json", "/nothing", *lists):
        aviary.look(place, text)
    for path in lists:
        planted.call("GET", path)
    aviary.look_everywhere(stack)

    assert unexpected(aviary) == []
    assert aviary.looked_at > 300


def test_the_search_finds_a_secret_in_each_kind_of_place(planted: Planted) -> None:
    """A canary of its own, so that the places stay clean for the others."""
    found, secret = Aviary(), ""
    secret = found.add("planted")
    coded = base64.b64encode(f"some text before {secret}".encode()).decode()
    planted.subscribe("/search", events=["canary.search"])
    planted.made("/v1/events", event_type="canary.search", data={"text": secret})
    planted.sql(
        "INSERT INTO subscriptions_notice (organization_id, address, subject, text, tries, error) "
        f"SELECT id, '', '', '{coded}', 99, '' FROM subscriptions_organization LIMIT 1"
    )
    with closing(redis.Redis.from_url(planted.stack.settings["BROKER_URL"])) as client:
        client.rpush("planted", quote(secret))
    with open(planted.stack.processes["beat"].log, "a", encoding="utf-8") as log:
        log.write(f"{secret}\n")

    found.look_everywhere(planted.stack)

    places = {place for _, place in found.seen}
    tables = {"table delivery_eventbody", "table subscriptions_notice"}
    assert tables | {"broker planted", "file beat.log"} <= places
