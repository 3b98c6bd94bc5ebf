"""The record thread: what has ended meanwhile is committed together, then each is finished."""

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connection

from delivery import deliver, health
from delivery.batches import Batches
from delivery.database import DATABASE_AWAY, OwnConnection, close_connection
from delivery.deliver import Again
from delivery.loop.stages import BY_KEY_ONLY, Ended, Job, Judged
from delivery.recorder import Outcome, record, record_many, while_leased
from delivery.short_waits import ShortWaits

logger = logging.getLogger(__name__)

RECORDS_MAX = 256
# Nobody waits for a record; the request is over.
GATHER_SECONDS = 0.005


class Recording:
    """`finish` is called for each when its outcome is committed, or cannot be."""

    def __init__(
        self, short_waits: ShortWaits, finish: Callable[[Job, Again | Exception | None], None]
    ) -> None:
        self._short_waits = short_waits
        self._finish = finish
        self._connection = OwnConnection(BY_KEY_ONLY)
        self._batches = Batches(
            "records",
            self._record,
            most=RECORDS_MAX,
            gather_seconds=GATHER_SECONDS,
            leave=close_connection,
        )
        self.start, self.stop, self.put = self._batches.start, self._batches.stop, self._batches.put

    def _record(self, ended: list[Ended]) -> None:
        together: dict[UUID, Judged] = {}
        alone: list[Judged] = []
        for job, prepared, result in ended:
            try:
                one = Judged(job, prepared, deliver.judge(prepared, result, self._short_waits))
            except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
                self._finish(job, error)
                continue
            # A 410 disables its subscription in the same transaction. The second claim of a delivery
            # whose lease passed on is written after the first.
            if health.is_gone(one.outcome) or one.job.delivery_id in together:
                alone.append(one)
            else:
                together[one.job.delivery_id] = one
        if together:
            self._record_together(list(together.values()))
        for one in alone:
            self._record_alone(one)

    def _record_together(self, ended: Sequence[Judged]) -> None:
        outcomes = [one.outcome for one in ended]
        first_lease = min(one.prepared.lease_ends for one in ended)
        try:
            taken = while_leased(lambda: self._record_rows(outcomes), lease_ends=first_lease)
        except Exception:
            # One that cannot be written, or a lease that ends sooner than the others.
            logger.warning("a batch could not be recorded; one by one now", exc_info=True)
            for one in ended:
                self._record_alone(one)
            return
        for one in ended:
            self._after(one, taken=one.outcome.id in taken)

    def _record_rows(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        self._connection.ready()
        return record_many(outcomes)

    def _record_alone(self, one: Judged) -> None:
        write = health.record_gone if health.is_gone(one.outcome) else record
        try:
            taken = while_leased(lambda: write(one.outcome), lease_ends=one.prepared.lease_ends)
        except DATABASE_AWAY as error:
            logger.warning("left to the requeuer: database away delivery=%s error=%s", one.job[0], error)
            connection.close()
            self._finish(one.job, None)
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(one.job, error)
        else:
            self._after(one, taken=taken)

    def _after(self, one: Judged, *, taken: bool) -> None:
        try:
            again = deliver.after_record(one.outcome, taken)
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(one.job, error)
        else:
            self._finish(one.job, again)
