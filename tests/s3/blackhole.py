"""A store that forgets what it is given, in a process of its own: `python -m tests.s3.blackhole`; prints its port.

For the memory of who uploads: nothing of it is this process's.
"""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 1 << 16
ANSWERS = {
    "GET": b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
    "POST": b"<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        digest = hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, PIECE))
            digest.update(piece)
            left -= len(piece)
        whole = digest.hexdigest() == self.headers["x-amz-content-sha256"]
        body = ANSWERS.get(self.command, b"")
        self.send_response(200 if whole else 400)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Says nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
