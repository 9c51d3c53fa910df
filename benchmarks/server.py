"""`python -m benchmarks.server`: DynamoDB and its Streams as far as a reader and a replica call them, over TLS.

Answers are ready before they are asked for, and a thread per connection writes them: it takes a fraction of what any
reader spends. It talks to who started it over its standard streams, a line of JSON each way (`Command`).
"""

import argparse
import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal, TypedDict

from benchmarks.certificates import HOST
from benchmarks.feed import Body, Feed, Spec, described, place_of
from benchmarks.replica_target import ReplicaTarget

Command = Literal["hold", "go", "counts", "items"]
"""`hold`: what is counted begins anew, and records wait for `go`; `items`: what the replica's tables hold."""

HOLD_SECONDS = 8.0
"""Less than a reader waits for an answer."""


class Counts(TypedDict):
    calls: int
    """Of `GetRecords`."""
    records: int
    waiting: int
    """Calls that wait for `go`."""
    writes: int


class Server:
    def __init__(self, feeds: dict[str, Feed], replica: ReplicaTarget) -> None:
        self._feeds = feeds
        self._replica = replica
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._calls = self._records = self._waiting = 0

    def command(self, command: Command, seconds: float) -> Any:
        if command == "hold":
            self._open.clear()
            self._replica.forget()
            with self._lock:
                self._calls = self._records = 0
        elif command == "go":
            for feed in self._feeds.values():
                if feed.spec.live:
                    feed.go(seconds)
            self._open.set()
        elif command == "items":
            return self._replica.items()
        with self._lock:
            return Counts(
                calls=self._calls, records=self._records, waiting=self._waiting, writes=self._replica.writes
            )

    def serve(self, connection: ssl.SSLSocket) -> None:
        try:
            with connection:
                connection.do_handshake()
                self._answer_all(connection)
        except OSError:
            return  # the client is gone, perhaps killed: whoever measures it notices

    def _answer_all(self, connection: ssl.SSLSocket) -> None:
        data = b""
        while True:
            while (end := data.find(b"\r\n\r\n")) < 0:
                if not (more := connection.recv(65536)):
                    return
                data += more
            headers = _headers(data[:end])
            length = int(headers.get(b"content-length", b"0"))
            if headers.get(b"expect"):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            begin = end + 4
            while len(data) < begin + length:
                if not (more := connection.recv(65536)):
                    return
                data += more
            operation = headers[b"x-amz-target"].rpartition(b".")[2].decode()
            status, body = self._answer(operation, data[begin : begin + length])
            data = data[begin + length :]
            _send(connection, status, body)

    def _answer(self, operation: str, request: bytes) -> tuple[int, Body]:
        if operation in ("PutItem", "TransactWriteItems"):
            self._replica.write(operation, request)
            return 200, Body((b"{}",))
        arguments = json.loads(request)
        if operation == "GetRecords":
            return 200, self._page(arguments["ShardIterator"])
        told = self._told(operation, arguments)
        if told is None:
            told = {"__type": "com.amazon.coral.service#UnknownOperationException"}
            return 400, Body((described(told),))
        return 200, Body((described(told),))

    def _told(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """What describes something; None: nobody knows this operation."""
        match operation:
            case "GetShardIterator":
                return {"ShardIterator": self._feed(arguments["StreamArn"]).iterator(arguments)}
            case "DescribeStream":
                return {"StreamDescription": self._feed(arguments["StreamArn"]).description(arguments)}
            case "DescribeTable":
                name = arguments["TableName"]
                return {
                    "Table": self._feeds[name].table() if name in self._feeds else self._replica.table(name)
                }
            case "DescribeTimeToLive":
                ttl = {"AttributeName": "expires_at", "TimeToLiveStatus": "ENABLED"}
                return {"TimeToLiveDescription": ttl}
            case _:
                return None

    def _feed(self, stream: str) -> Feed:
        return self._feeds[stream.split("/")[1]]

    def _page(self, iterator: str) -> Body:
        name, shard, index = place_of(iterator)
        feed = self._feeds[name]
        if not feed.spec.live and not self._open.is_set():
            with self._lock:
                self._waiting += 1
            self._open.wait(HOLD_SECONDS)
            with self._lock:
                self._waiting -= 1
        body = feed.body(shard, index)
        with self._lock:
            self._calls += 1
            self._records += body.records
        return body


def _headers(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def _send(connection: ssl.SSLSocket, status: int, body: Body) -> None:
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\nServer: Server\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {body.size}\r\n"
        f"Connection: keep-alive\r\nx-amz-crc32: {body.checksum}\r\n\r\n"
    ).encode()
    if body.size < 16384:  # one packet
        connection.sendall(b"".join((head, *body.parts)))
        return
    for part in (head, *body.parts):
        connection.sendall(part)


def _listen(server: Server, certificate: Path) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server((HOST, 0), backlog=128)

    def accept() -> None:
        while True:
            plain, _ = listener.accept()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--keep-items", action="store_true", help="answer `items` with what was written")
    parser.add_argument(
        "--base", type=float, default=None, help="creation time of the first records, epoch seconds"
    )
    parser.add_argument("tables", nargs="*", help="names of tables, which say what is in them")
    arguments = parser.parse_args()
    base = arguments.base if arguments.base is not None else float(int(time.time()) - 600)
    feeds = {name: Feed(Spec.parse(name), base=base) for name in arguments.tables}
    for feed in feeds.values():
        feed.prepare()
    server = Server(feeds, ReplicaTarget(keep=arguments.keep_items))
    print(json.dumps({"port": _listen(server, arguments.certificate)}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(server.command(command["command"], command.get("seconds", 0.0))), flush=True)


if __name__ == "__main__":
    main()
