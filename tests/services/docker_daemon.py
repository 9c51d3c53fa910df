"""Does a Docker daemon of this machine answer? Asked without Docker's client, which leaks a socket where none does."""

import http.client
import socket
from urllib.parse import urlsplit

from tests.services.server import HOST

DEFAULT = "unix:///var/run/docker.sock"
ANSWER_SECONDS = 5.0


def no_daemon() -> str | None:
    """Why containers cannot be used here; None where a daemon answers on a socket or a loopback port.

    Where to ask is testcontainers' finding: DOCKER_HOST, its own properties, Docker's current context.
    """
    from testcontainers.core.docker_client import get_docker_host

    host = get_docker_host() or DEFAULT
    address = urlsplit(host)
    connection: http.client.HTTPConnection
    if address.scheme == "unix":
        connection = _UnixConnection(address.path)
    elif address.hostname in (HOST, "localhost") and address.port is not None:
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=ANSWER_SECONDS)
    else:
        return f"the Docker daemon at {host} is not on this machine"
    try:
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as refused:
        return f"no Docker daemon answers at {host} ({type(refused).__name__})"
    finally:
        connection.close()
    return None if answer.status == http.HTTPStatus.OK else f"{host} answers {answer.status} to a ping"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
