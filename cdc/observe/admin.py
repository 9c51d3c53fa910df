"""The admin server: `/health`, `/ready`, `/metrics` and `/status` for probes, scrapers and `cdc status`.

A handful of threads, each of which waits for a connection, answers one request within a deadline and closes: neither
many clients nor slow ones make it grow, and none holds it for longer than the deadline.
"""

import errno
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

from cdc.errors import CdcError, ErrorKind
from cdc.observe.exchange import Answer, Routes, as_json, exchange
from cdc.observe.health import Health
from cdc.observe.metrics import CONTENT_TYPE

_BACKLOG = 64
_OUR_FAULTS = (errno.EBADF, errno.EINVAL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Of `accept`: those that would come again at once."""


class Spawn(Protocol):
    """Starts a thread. It must be one that does not keep the process from ending (`daemon`), and what the target raises
    must end the process."""

    def __call__(self, target: Callable[[], None], /, *, name: str) -> threading.Thread: ...


class AdminServer:
    """Serves from `start` to `stop`. The four callables are called from the server's threads, several at once, and
    should only look at what is already there.

    Args:
        host: name or address to listen at.
        port: 0: one that is free; see `address`.
        health: of `GET /health`: 200 if `ok`, else 503 with the reasons.
        ready: of `GET /ready`, likewise.
        metrics: Prometheus' text format.
        status: the document of `cdc.observe.document`, as JSON.
        threads: how many requests are answered at a time.
        deadline_seconds: how long one connection may take.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        health: Callable[[], Health],
        ready: Callable[[], Health],
        metrics: Callable[[], bytes],
        status: Callable[[], bytes],
        threads: int = 4,
        deadline_seconds: float = 5.0,
    ) -> None:
        self._host, self._port = host, port
        self._routes: Routes = {
            "/health": lambda: _health(health()),
            "/ready": lambda: _health(ready()),
            "/metrics": lambda: Answer(HTTPStatus.OK, metrics(), CONTENT_TYPE),
            "/status": lambda: Answer(HTTPStatus.OK, status()),
        }
        self._number = threads
        self._deadline = deadline_seconds
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._address = ""
        self._stopping = threading.Event()
        self._wakes: tuple[socket.socket, socket.socket] | None = None

    @property
    def address(self) -> str:
        """`host:port`, with the real port; an IPv6 address in brackets. Empty before `start`."""
        return self._address

    def start(self, spawn: Spawn) -> None:
        """Listens and begins to answer. Once only.

        Raises:
            CdcError: `CONFIGURATION`: the port is busy or not allowed, or the host is none of this machine.
        """
        self._listener = listen(self._host, self._port)
        found, port = self._listener.getsockname()[:2]
        self._address = f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
        # Closing one end tells all threads at once that it is over; closing the listener would not wake them.
        self._wakes = socket.socketpair()
        self._threads = [
            spawn(self._serve, name=f"cdc-admin-{number}") for number in range(1, self._number + 1)
        ]

    def stop(self, *, seconds: float = 2.0) -> None:
        """Closes the port, ends open connections, and waits for the threads, for so long at most. May be repeated."""
        with self._lock:
            self._stopping.set()
            for client in self._clients:
                # It may have ended at this moment.
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        if self._listener is None or self._wakes is None:
            return
        self._wakes[1].close()
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        self._listener.close()
        if not any(thread.is_alive() for thread in self._threads):
            self._wakes[0].close()

    def _serve(self) -> None:
        if self._listener is None or self._wakes is None or self._stopping.is_set():
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wakes[0], selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                client = None if self._stopping.is_set() else _accept(self._listener)
                if client is not None:
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        with self._lock:
            if self._stopping.is_set():
                client.close()
                return
            self._clients.add(client)
        try:
            exchange(client, self._routes, seconds=self._deadline)
        finally:
            with self._lock:
                self._clients.discard(client)


def _accept(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except OSError as error:
        if error.errno in _OUR_FAULTS:
            raise
        # Another thread was quicker, or the client or its network went away at once (Linux' accept(2), "Error handling").
        return None


def _health(health: Health) -> Answer:
    content: Mapping[str, Any] = {"ok": health.ok, "reasons": list(health.reasons)}
    return as_json(HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, content)


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        CdcError: `CONFIGURATION`: there is no such address, or another process has it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        # Not `ConfigError`: another process may hold the port only for now.
        reason = error.strerror or type(error).__name__
        raise CdcError(
            ErrorKind.CONFIGURATION,
            f"the admin server can't listen at {host}:{port}: {reason}",
            remedy="end the process that holds the port, or give admin.port another one (0: any that is free)",
        ) from error
    listener.setblocking(False)
    return listener
