"""eachlabs (seed 004): the log of webhooks, each with its attempts."""

from rest_framework.test import APIClient

from tests.factories import Json, answer, events_of, run, webhook
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_eachlabs_api import LOG, completed, error
from tests.receiver import Receiver, Reply


def test_the_log_shows_each_attempt_of_a_webhook(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.reply(Reply(500, body=b'{"error":"internal error"}'), Reply(200, body=b'{"received":true}'))
    id_ = completed(api, webhook_url=receiver.url())
    waiting = answer(api.get(f"{LOG}/{id_}"))
    deliver()
    delivery = events_of(api, id_)[-1]["deliveries"][0]
    answer(api.post(f"/v1/deliveries/{delivery['id']}/cancel", {}))
    answer(api.post(f"/v1/deliveries/{delivery['id']}/replay", {}), 202)
    deliver()

    story = answer(api.get(f"{LOG}/{id_}"))

    assert list(story) == ["execution_id", "url", "request", "headers", "source", "created_at", "attempts"]
    assert (story["execution_id"], story["url"]) == (id_, receiver.url())
    assert story["request"] == receiver.requests[0].body.decode()
    assert story["headers"]["Content-Type"] == "application/json"
    assert [a["status"] for a in waiting["attempts"]] == ["PENDING"]
    # The cancelled retry stands between the failed attempt and the replay.
    failed, cancelled, accepted = story["attempts"]
    assert list(failed) == ["status", "status_code", "response", "error_message", "created_at"]
    assert list(failed.values())[:4] == ["FAILED", 500, '{"error":"internal error"}', None]
    assert list(cancelled.values())[:3] == ["FAILED", None, None]
    assert cancelled["error_message"]
    assert list(accepted.values())[:4] == ["SUCCESS", 200, '{"received":true}', None]
    listed = answer(api.get(LOG))
    assert listed == {"webhooks": [without(story, "attempts")], "limit": 50, "offset": 0}


def without(row: Json, key: str) -> Json:
    return {name: value for name, value in row.items() if name != key}


def test_the_log_holds_callbacks_of_eachlabs_executions_only(
    api: APIClient, other_api: APIClient, receiver: Receiver
) -> None:
    webhook(api, url=receiver.url("/subscription"))
    ids = [completed(api, webhook_url=receiver.url()) for _ in range(3)]
    silent = completed(api)
    native = run(api, webhook_url=receiver.url())["id"]
    report(api, native, "fail", {"error": "no"})

    assert len(answer(api.get(LOG))["webhooks"]) == 3
    listed = answer(api.get(LOG, {"limit": 2, "offset": 1}))

    assert [row["execution_id"] for row in listed["webhooks"]] == [ids[1], ids[0]]
    assert (listed["limit"], listed["offset"]) == (2, 1)
    assert answer(other_api.get(LOG))["webhooks"] == []
    for client, id_ in ((api, silent), (api, native), (api, "none"), (other_api, ids[0])):
        assert error(client.get(f"{LOG}/{id_}"), 404) == "webhook not found"
    assert error(api.get(LOG, {"limit": 101}), 400).startswith("limit: ")
