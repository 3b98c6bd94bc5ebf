"""Does to the stack what the schedule says, and writes down what it did and when. Only our own processes."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Self

import psutil
import psycopg2
import redis

from local.errors import StartFailed
from local.service import Service
from local.stack import Stack
from tests.chaos.faults import Planned
from tests.chaos.records import DID_NOT_STOP, NOT_DONE, START_FAILED, Fault, Kind, Lane

WATCH_SECONDS = 0.2
STARTS_TRIED = 3
NEVER_DOWN = frozenset({Kind.PAUSE_BROKER, Kind.FLUSH_BROKER, Kind.PAUSE_DATABASE, Kind.CUT_CONNECTIONS})
CUT_WITHIN_SECONDS = 10.0

CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND client_port = ANY(%s)
"""


class Breaker:
    """Carries out planned faults, a thread per lane, and starts again what dies without being asked to."""

    def __init__(
        self,
        stack: Stack,
        planned: Sequence[Planned],
        *,
        seconds: float,
        name_peers: Callable[[Mapping[int, str]], None],
        say: Callable[[str], None],
    ) -> None:
        self.faults: list[Fault] = []
        self._name_peers = name_peers
        self._stack = stack
        self._seconds = seconds
        self._say = say
        self._began = time.time()
        self._lock = threading.Lock()
        # How many are working on a service. What ends while nobody is has died by itself.
        self._busy: Counter[str] = Counter()
        self._over = threading.Event()
        lanes = {lane: [fault for fault in planned if fault.lane is lane] for lane in Lane}
        self._threads = [
            threading.Thread(target=self._break, args=(faults,), name=f"chaos-{lane}", daemon=True)
            for lane, faults in lanes.items()
        ]
        self._watch = threading.Thread(target=self._look, name="chaos-watch", daemon=True)

    def finish(self) -> None:
        """Wait until every fault is over and every service is back; go on watching."""
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self._began = time.time()
        for thread in (*self._threads, self._watch):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is started or paused any more, also if the run was interrupted."""
        self._over.set()
        for thread in (*self._threads, self._watch):
            thread.join()

    def _break(self, planned: Sequence[Planned]) -> None:
        for fault in planned:
            interrupted = self._over.wait(max(0.0, self._began + fault.at - time.time()))
            # A lane lags behind on a slow machine; then its last faults are left out.
            if interrupted or time.time() > self._began + self._seconds:
                return
            names = self._names(fault.target)
            with self._working_on(names):
                began = struck = time.time()
                services = [self._stack.processes[name] for name in names]
                try:
                    note = self._strike(fault, services)
                    struck = time.time()
                    note += self._bring_back(fault, services)
                except Exception as error:  # noqa: BLE001 - the run goes on, and the judge is told
                    note = f"{NOT_DONE}: {error!r}"
                self._record(fault.kind, fault.target, began, struck, note)

    def _strike(self, fault: Planned, services: Sequence[Service]) -> str:
        match fault.kind:
            case Kind.PAUSE_BROKER | Kind.PAUSE_DATABASE:
                with paused(services[0]):
                    self._over.wait(fault.lasts)
            case Kind.FLUSH_BROKER:
                redis.Redis.from_url(self._stack.settings["BROKER_URL"], socket_timeout=10).flushall()
            case Kind.CUT_CONNECTIONS:
                return self._cut(services[0])
            case Kind.RESTART_WORKER | Kind.RESTART_API | Kind.RESTART_BROKER | Kind.RESTART_DATABASE:
                return self._stop(services[0])
            case _:
                for service in services:
                    kill_tree(service)
        return ""

    def _bring_back(self, fault: Planned, services: Sequence[Service]) -> str:
        """Start what was ended, after its time away."""
        if fault.kind in NEVER_DOWN:
            return ""
        time.sleep(fault.lasts)
        for service in services:
            service.start()
        return "".join(self._await(service) for service in services)

    def _stop(self, service: Service) -> str:
        service.ask_to_stop()
        service.finish(self._stack.supervisor.interrupts)
        process = service.process
        assert process is not None
        killed = process.returncode == -signal.SIGKILL
        return f"{DID_NOT_STOP} in {service.stop_seconds:.0f} s" if killed else ""

    def _await(self, service: Service) -> str:
        """Wait until a service that was started is ready; start it again if that fails."""
        failures = ""
        for _ in range(STARTS_TRIED):
            try:
                service.wait_until_ready(self._stack.supervisor.interrupts)
            except StartFailed as error:
                failures += f"{START_FAILED}: {error} "
                service.kill()
                service.start()
            else:
                break
        return failures

    def _cut(self, service: Service) -> str:
        """Let the server end all connections of this client, as soon as it has any."""
        url = self._stack.settings["DATABASE_URL"]
        cut, ends = 0, time.monotonic() + CUT_WITHIN_SECONDS
        with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
            # Within one transaction PostgreSQL shows the same sessions again and again.
            database.autocommit = True
            while cut == 0 and time.monotonic() < ends:
                # Another lane may be restarting it.
                with suppress(psutil.Error):
                    cursor.execute(CUT, [ports_of(service)])
                    cut = int((cursor.fetchone() or [0])[0])
                time.sleep(WATCH_SECONDS)
        return f"{cut} connections"

    def _look(self) -> None:
        """Start again what has died by itself, as `make serve` would, and put it on record."""
        while not self._over.wait(WATCH_SECONDS):
            self._tell_workers_apart()
            for name, service in self._stack.processes.items():
                with self._lock:
                    died = self._busy[name] == 0 and not service.running
                if died:
                    with self._working_on([name]):
                        died_at = time.time()
                        note = f"{service.ending()}{service.tail()}"
                        service.start()
                        self._record(Kind.DIED, name, died_at, died_at, note + self._await(service))

    def _tell_workers_apart(self) -> None:
        """Whose request it was decides which kill may explain that it is not on record."""
        for name in self._names("workers"):
            with suppress(psutil.Error):
                self._name_peers(dict.fromkeys(ports_of(self._stack.processes[name]), name))

    def _record(self, kind: Kind, target: str, began: float, struck: float, note: str) -> None:
        fault = Fault(kind=kind, target=target, began=began, struck=struck, ended=time.time(), note=note)
        with self._lock:
            self.faults.append(fault)
        self._say(
            f"{fault.began - self._began:6.1f} s  {fault.kind}"
            f"  ({fault.target}, back after {fault.ended - fault.began:.1f} s)"
            f"{'  ' + note if note else ''}"
        )

    def _names(self, target: str) -> list[str]:
        if target == "workers":
            return [name for name in self._stack.processes if name.startswith("worker-")]
        return [target]

    @contextmanager
    def _working_on(self, names: Sequence[str]) -> Iterator[None]:
        with self._lock:
            self._busy.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._busy.subtract(names)


def tree(service: Service) -> list[psutil.Process]:
    """The service's process and all below it. PostgreSQL's sessions leave its process group."""
    process = psutil.Process(service.pid)
    return [process, *process.children(recursive=True)]


def ports_of(service: Service) -> list[int]:
    """Its own ports of the connections that it has open."""
    return [
        connection.laddr.port
        for process in tree(service)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED
    ]


def kill_tree(service: Service) -> None:
    """SIGKILL for all of it, the first process first, so that it starts no more."""
    below = tree(service)[1:]
    service.kill()
    for process in below:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(below, timeout=5)


@contextmanager
def paused(service: Service) -> Iterator[None]:
    """SIGSTOP for all of it, SIGCONT at the end in any case."""
    stopped: list[psutil.Process] = []
    try:
        # A second look finds what the first process had started before it was stopped.
        for _ in range(2):
            for process in tree(service):
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    stopped.append(process)
        yield
    finally:
        for process in reversed(stopped):
            with suppress(psutil.NoSuchProcess):
                process.resume()
