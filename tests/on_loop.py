"""The transport on an event loop, asked as the other one is, so that both pass the same tests."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from delivery.sender import Answer, NoAnswer, OutgoingRequest, Transport
from delivery.sender.loop import LoopTransport


class OnLoop:
    """`send` waits for the answer; any thread may call it. `busy` holds the loop up just before a request."""

    busy: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, *, connections_per_receiver: int = 0, **values: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-loop", daemon=True)
        self._thread.start()
        self._transport = self._call(_made(values))

    def send(self, request: OutgoingRequest) -> Answer | NoAnswer:
        result: Answer | NoAnswer = self._call(self._send(request))
        return result

    async def _send(self, request: OutgoingRequest) -> Answer | NoAnswer:
        self.busy()
        result: Answer | NoAnswer = await self._transport.send(request)
        return result

    def close(self) -> None:
        self._call(self._transport.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


AnyTransport = Transport | OnLoop
BOTH = [Transport, OnLoop]


async def _made(values: dict[str, Any]) -> LoopTransport:
    return LoopTransport(**values)
