"""Kombu's Redis transport, sturdy against a broker that dies while messages are unacknowledged."""

from typing import Any

from kombu.transport.redis import Channel, QoS, Transport


class SturdyQoS(QoS):
    """Lets go of messages whose connection is gone.

    Kombu 5.7 asks such a channel for the address of a connection that it has already let go, and
    the AttributeError ends the worker. Nothing is lost by letting go: the broker keeps what is not
    acknowledged and hands it out again; a row that is done makes that copy do nothing, and a row
    that is not was found by the requeuer long before.
    """

    @property
    def _is_gone(self) -> bool:
        connection: Any = self.channel.connection
        return connection is None or connection.client is None

    def restore_unacked(self, client: Any = None) -> None:
        if not self._is_gone:
            super().restore_unacked(client)

    def ack(self, delivery_tag: str) -> None:
        if not self._is_gone:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._is_gone:
            super().reject(delivery_tag, requeue)


class SturdyChannel(Channel):
    QoS = SturdyQoS


class SturdyTransport(Transport):
    Channel = SturdyChannel
