"""A replay with real workers, of which one is killed in the middle."""

from collections import Counter

from local.stack import Stack
from tests.e2e.conftest import Api, eventually
from tests.e2e.test_stack import webhook_ids
from tests.receiver import Receiver

COUNT = 40


def test_a_replay_goes_on_though_a_worker_is_killed_and_sends_each_event_once(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    receiver.reply(500, path="/outage")
    subscription = api.subscribe(receiver.url("/outage"), retry_schedule=[])
    ids = api.events(COUNT, "e2e.outage")
    eventually(lambda: Counter(api.states(subscription)) == {"exhausted": COUNT}, 60, "all have failed")
    receiver.recover("/outage")

    replay = api.post("/v1/replays", {"subscription_id": subscription["id"], "rate_per_second": 8})
    path = f"/v1/replays/{replay['id']}"
    eventually(lambda: api.get(path)["replayed"] >= 8, 20, "it has begun")
    stack.processes["worker-1"].kill()
    killed_at = api.get(path)["replayed"]
    eventually(lambda: api.get(path)["state"] == "done", 40, "the other worker carries it on")
    stack.restart("worker-1")

    expected = {"exhausted": COUNT, "delivered": COUNT}
    eventually(lambda: Counter(api.states(subscription)) == expected, 40, "all have arrived")
    assert killed_at < COUNT
    assert (replay["matched"], api.get(path)["replayed"]) == (COUNT, COUNT)
    # The first time, and the replay; one more only for a request that the killed worker had open.
    seen = webhook_ids(receiver.at("/outage"))
    assert set(seen) == set(ids)
    assert all(count >= 2 for count in seen.values())
    again = api.post("/v1/replays", {"subscription_id": subscription["id"], "dry_run": True})
    assert again == {"matched": COUNT, "replayable": 0, "by_state": {}, "skipped": {"delivered_since": COUNT}}
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")
