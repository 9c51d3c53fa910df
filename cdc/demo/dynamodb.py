"""An embedded DynamoDB: moto, in threads of this process, with the source's region and the replica's.

moto is no DynamoDB. What differs and matters here, and what is done about it:

- It has no locks. A transaction whose condition fails puts the whole table back as it was before, and a write that ran
  beside it is gone. So one request runs at a time, as if each were atomic, which on DynamoDB each is.
- It keeps a number as it was written, `1E+2` or `100`. The workload writes canonical numbers, as DynamoDB returns.
- An update that creates an item makes two stream records, and a write that changes nothing makes one. The workload
  updates items that are there, and every write changes something.
- A stream is one shard that never ends, its records never expire, and every table's shard has the same id. Nothing here
  depends on more; shards that split and records that expire are `make test`'s.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import botocore.session
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

SOURCE_REGION = "eu-west-1"
REPLICA_REGION = "us-east-1"
TABLE = "orders"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}  # moto takes any

_KEY_SCHEMA = [
    {"AttributeName": "customer", "KeyType": "HASH"},
    {"AttributeName": "order", "KeyType": "RANGE"},
]
_KEY_TYPES = [
    {"AttributeName": "customer", "AttributeType": "S"},
    {"AttributeName": "order", "AttributeType": "N"},
]


class _Turns:
    """A lock that is given in the order in which it was asked for: with `threading.Lock`, whoever asks often wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        turn = threading.Lock()
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_turns = _Turns()
"""Of the process, as moto's state is."""


class _Atomic:
    """Runs one request at a time, over all servers of the process; but for those to streams, which only read what is
    never changed, and take long."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDBStreams_"):
            return list(self._app(environ, start_response))
        with _turns:
            return list(self._app(environ, start_response))


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - overrides
        """Nothing: the screen is the demonstration's."""


class Endpoint:
    """One address on loopback, which may stop answering and come back. The data stays."""

    def __init__(self) -> None:
        self._app = _Atomic(DomainDispatcherApplication(create_backend_app))
        self._port = 0
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        server = make_server("127.0.0.1", self._port, self._app, threaded=True, request_handler=_QuietHandler)
        self._port = server.port
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.05,), name=f"dynamodb-{self._port}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Requests that have come are answered; no more are taken."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.shutdown()
            server.server_close()
            thread.join()


def client(service: str, region: str, url: str) -> Any:
    """A plain client of the AWS SDK: nothing here goes through the connectors that are being shown."""
    return botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )


def create_table(dynamodb: Any, *, with_stream: bool) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_KEY_SCHEMA,
        AttributeDefinitions=_KEY_TYPES,
        **({"StreamSpecification": stream} if with_stream else {}),
    )
