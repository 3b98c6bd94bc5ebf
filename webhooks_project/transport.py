"""Kombu's Redis transport: sturdy against a broker that dies, and with many messages per round trip.

A message costs the stock transport four round trips (take, note as unacknowledged, acknowledge, and
its publishing), about a millisecond of CPU in all. Here they are shared by whatever is at hand:
BLMPOP takes up to BATCH_MAX messages (Valkey, or Redis 7 and newer), one pipeline notes them, one
acknowledges those that ended together, and one push carries all that a publisher has gathered. The
keys and their contents are those of the stock transport, so both can work on one broker.

Queues that `background_queues` names never delay the others: they are asked for messages after all
others, and only while what was taken of them and is not done fills less than a quarter of the
worker. The others take turns, and each 32nd time the background comes first, so nobody starves.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from time import monotonic, time
from typing import Any

import orjson
from celery.exceptions import WorkerShutdown
from celery.platforms import EX_FAILURE
from kombu.asynchronous import get_event_loop
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport

logger = logging.getLogger(__name__)

# A message has about 800 bytes. More at once would keep them from other workers that are idle.
BATCH_MAX = 64
# Of the messages that a worker may have in hand, and where there is no bound on them.
BACKGROUND_SHARE, BACKGROUND_MAX = 4, 128
# While the background has its share, a look at it is due so soon again: 1,280 messages a second.
BACKGROUND_PAUSE_SECONDS = 0.05
BACKGROUND_TURN = 32


class SturdyQoS(QoS):
    """Lets go of messages whose connection is gone.

    Kombu 5.7 asks such a channel for the address of a connection that it has already let go, and
    the AttributeError ends the worker. Nothing is lost by letting go: the broker keeps what is not
    acknowledged and hands it out again; a row that is done makes that copy do nothing, and a row
    that is not was found by the requeuer long before.
    """

    channel: "SturdyChannel"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noted: set[str] = set()
        self._acknowledged: list[str] = []
        #: messages of background queues that are not done, by delivery tag
        self._background: set[str] = set()

    @property
    def _is_gone(self) -> bool:
        connection: Any = self.channel.connection
        return connection is None or connection.client is None

    def background_room(self) -> int:
        """How many messages of background queues may be taken now: a whole batch of them or none."""
        places = self.prefetch_count // BACKGROUND_SHARE if self.prefetch_count else BACKGROUND_MAX
        most = max(1, min(places, BACKGROUND_MAX))
        batch = min(BATCH_MAX, max(1, most // 2))
        return batch if len(self._background) + batch <= most else 0

    def restore_unacked(self, client: Any = None) -> None:
        self._background.clear()
        if not self._is_gone:
            super().restore_unacked(client)

    def note(self, messages: Sequence[tuple[dict[str, Any], bytes]], *, in_background: bool) -> None:
        """Write down at the broker that these, given with their text, are about to be delivered."""
        now = time()
        taken_at, texts = {}, {}
        for message, text in messages:
            properties = message["properties"]
            tag, info = properties["delivery_tag"], properties["delivery_info"]
            rest = json.dumps([info["exchange"], info["routing_key"]]).encode()
            taken_at[tag], texts[tag] = now, b"[" + text + b", " + rest[1:]
        pipe = self.channel.own_client.pipeline()
        pipe.zadd(self.unacked_index_key, taken_at).hset(self.unacked_key, mapping=texts).execute()
        self._noted.update(texts)
        if in_background:
            self._background.update(texts)

    def append(self, message: Any, delivery_tag: str) -> None:
        if delivery_tag in self._noted:
            self._noted.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Celery acknowledges on its event loop: those of one round of it go to the broker in one piece."""
        self._background.discard(delivery_tag)
        hub = get_event_loop()
        if self._is_gone or hub is None:
            if not self._is_gone:
                super().ack(delivery_tag)
            return
        virtual.QoS.ack(self, delivery_tag)
        self._acknowledged.append(delivery_tag)
        if len(self._acknowledged) == 1:
            hub.call_soon(self._forget_acknowledged)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """At the end of the worker: what was acknowledged since its loop stood still is not to restore."""
        self._forget_acknowledged()
        super().restore_unacked_once(stderr)

    def _forget_acknowledged(self) -> None:
        tags, self._acknowledged = self._acknowledged, []
        if tags and not self._is_gone:
            pipe = self.channel.own_client.pipeline()
            pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags)
            pipe.execute()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        self._background.discard(delivery_tag)
        if not self._is_gone:
            super().reject(delivery_tag, requeue)


class PlainMessage(virtual.Message):
    """Reads JSON as it is: kombu asks a hook for each object in it, which takes longer than all the rest.

    Messages are Celery's own, without numbers that one reader of JSON takes and another refuses.
    """

    def _decode(self) -> Any:
        body: Any = self.body
        text = body.encode() if isinstance(body, str) else body
        if self.content_type != "application/json" or not text or b"__type__" in text:
            return super()._decode()
        return orjson.loads(text)


class SturdyChannel(Channel):
    """Takes and publishes many messages at once."""

    QoS = SturdyQoS
    Message = PlainMessage
    from_transport_options = (*Channel.from_transport_options, "background_queues")
    background_queues: Sequence[str] = ()
    # Parts of kombu's channel that its type stubs leave out.
    _queue_cycle: Any
    _q_for_pri: Callable[[str, int], str]
    _flush_brpop_reauth: Callable[[], None]
    _create_client: Callable[[], Any]
    connection_errors: tuple[type[Exception], ...]
    ResponseError: type[Exception]
    qos: SturdyQoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._acknowledged_queues: set[str] = set()
        self._captured: list[dict[str, Any]] | None = None
        self._own_client: Any = None
        self._asked = 0
        super().__init__(*args, **kwargs)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        if not no_ack:
            self._acknowledged_queues.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues, most, seconds = self._to_ask(timeout)
        if not queues:
            return
        keys = [
            f"{self.global_keyprefix}{self._q_for_pri(queue, priority)}"
            for priority in self.priority_steps
            for queue in queues
        ]
        # None where there is no bound; never 0, for this is asked only while there is room.
        count = min(most, self.qos.can_consume_max_estimate() or most)
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command("BLMPOP", seconds, len(keys), *keys, "RIGHT", "COUNT", count)

    def _to_ask(self, timeout: float | None) -> tuple[Sequence[str], int, float]:
        """The queues in the order in which they are asked, for how many messages, how long."""
        seconds = timeout or self.brpop_timeout or 0
        queues: list[str] = self._queue_cycle.consume(len(self.active_queues))
        background = [queue for queue in queues if queue in self.background_queues]
        others = [queue for queue in queues if queue not in self.background_queues]
        if not background or not others:
            return queues, BATCH_MAX, seconds
        room = self.qos.background_room()
        if not room:
            return others, BATCH_MAX, BACKGROUND_PAUSE_SECONDS
        self._asked += 1
        if self._asked % BACKGROUND_TURN == 0:
            return background + others, room, seconds
        return others + background, room, seconds

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                taken = self.client.parse_response(self.client.connection, "BLMPOP", **options)
            except self.connection_errors:
                # The next round connects again.
                self.client.connection.disconnect()
                raise
            except self.ResponseError as error:
                end_if_command_is_refused(error)
                raise
            if not taken:
                raise Empty
            key, texts = taken
            queue = key.decode().removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            messages = [(orjson.loads(text), text) for text in texts]
            if queue in self._acknowledged_queues:
                self.qos.note(messages, in_background=queue in self.background_queues)
            for message, _ in messages:
                self.connection._deliver(message, queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def push(self, queue: str, texts: Sequence[str]) -> None:
        """Publish messages that are written out already, oldest first, in one command."""
        self.own_client.lpush(self._q_for_pri(queue, self.default_priority), *texts)

    @property
    def own_client(self) -> Any:
        """Kombu makes a client for each call, which takes longer than the call."""
        if self._own_client is None or self._own_client.connection_pool is not self.pool:
            self._own_client = self._create_client()
        return self._own_client

    @contextmanager
    def capturing(self) -> Iterator[list[dict[str, Any]]]:
        """What is published on this channel meanwhile is gathered instead."""
        captured: list[dict[str, Any]] = []
        self._captured = captured
        try:
            yield captured
        finally:
            self._captured = None

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if self._captured is None:
            super()._put(queue, message, **kwargs)
        else:
            self._captured.append(message)


def end_if_command_is_refused(error: Exception) -> None:
    """Such a server stays as it is: a worker that asked again would do so for ever."""
    if "blmpop" in str(error).lower():
        logger.critical(
            "The broker refuses BLMPOP, by which workers take messages (%s). "
            "Use Valkey, or Redis 7 or newer, and permit the command to the user of BROKER_URL.",
            error,
        )
        raise WorkerShutdown(EX_FAILURE) from error


class SturdyTransport(Transport):
    Channel = SturdyChannel
