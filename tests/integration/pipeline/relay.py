"""A loopback address that passes bytes on to another one, and can go down and come back."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.services.server import HOST, free_port

CHUNK = 65_536


class Relay:
    """`url` is in front of the HTTP server at `upstream`. Also a context manager: up at once, down at the end."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), parts.port or 80)
        self._port = free_port()
        self.url = f"http://{HOST}:{self._port}"
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def up(self) -> None:
        self._listener = socket.create_server((HOST, self._port))
        self._spawn(self._accept, self._listener)

    def down(self) -> None:
        """Refuses connections from now on, and cuts those that there are."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends = [*self._open, *([listener] if listener else [])]
        for end in ends:
            # The other side may have closed it at this moment.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # it was shut down
                    return
                server = socket.create_connection(self._upstream)
                with self._lock:
                    if self._listener is not listener:
                        client.close()
                        server.close()
                        return
                    self._open |= {client, server}
                self._spawn(self._pass_on, client, server)
                self._spawn(self._pass_on, server, client)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(CHUNK):
                other.sendall(data)
        except OSError:
            pass  # cut, by whichever side: the other one learns it now
        finally:
            with suppress(OSError):
                other.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(one)
            one.close()

    def _spawn(self, target: object, *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args, name="relay", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
