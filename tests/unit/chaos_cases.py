"""Made-up rows, requests and faults for the tests of the chaos suite's judge; times are START + seconds."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from tests.chaos.records import AttemptRow, DeliveryRow, Fault, Kind, Peer, Request

SECRET = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3M="
BODY = '{"text":"čaos"}'.encode()
START = 1_700_000_000.0
LEASE = 4.5


def delivery(**changes: Any) -> DeliveryRow:
    values: dict[str, Any] = {
        "id": "d1",
        "event_id": "evt_1",
        "webhook_id": "evt_1",
        "path": "/one/0",
        "state": "delivered",
        "reason": "accepted",
        "attempts": 1,
        "claim_number": 1,
        "lease_seconds": LEASE,
        "created": START,
        "finished": START + 1,
        "body": BODY,
    }
    return DeliveryRow(**values | changes)


def attempt(second: int = 0, **changes: Any) -> AttemptRow:
    """The attempt that was signed so many seconds after the start; a success."""
    values: dict[str, Any] = {
        "delivery_id": "d1",
        "number": 1,
        "success": True,
        "status_code": 204,
        "error_class": "",
        "late": False,
        "timestamp": str(int(START) + second),
        "recorded": START + second + 0.2,
        "next_retry": None,
        "duration_seconds": 0.1,
    }
    return AttemptRow(**values | changes)


def failed(second: int, number: int, status: int | None = 500, **changes: Any) -> AttemptRow:
    values = {"number": number, "success": False, "status_code": status, "next_retry": START + second + 1}
    return attempt(second, **values | {"error_class": "http_status" if status else "timeout"} | changes)


def request(second: int = 0, status: int | None = 204, **changes: Any) -> Request:
    """The request that was signed so many seconds after the start, answered completely."""
    timestamp = int(START) + second
    signature = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(timestamp, UTC), BODY.decode())
    values: dict[str, Any] = {
        "path": "/one/0",
        "webhook_id": "evt_1",
        "timestamp": str(timestamp),
        "signature": f"v1,AAAA {signature}",
        "body_sha256": hashlib.sha256(BODY).hexdigest(),
        "at": START + second + 0.1,
        "mood": "healthy",
        "peer": Peer(port=1, worker="worker-1"),
        "status": status,
        "complete": status is not None,
        "ended": START + second + 0.2,
    }
    return Request(**values | changes)


def fault(kind: Kind, second: float, lasts: float = 1.0, target: str = "worker-1") -> Fault:
    began = START + second
    return Fault(kind=kind, target=target, began=began, struck=began, ended=began + lasts)
