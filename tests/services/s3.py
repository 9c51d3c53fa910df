"""Versity S3 Gateway: an S3 over a folder, with conditional writes that only one of many wins.

What other servers answer, and why this one was taken, is in the README beside this module.
"""

import http
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.services import environment
from tests.services.golang import installed
from tests.services.local_server import LocalServer
from tests.services.server import HOST, Server, http_status

PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
ACCESS_KEY_ID = SECRET_ACCESS_KEY = "test"
REGION = "eu-west-1"
ACCOUNT = "test"  # who owns all buckets: the access key, where AWS has an account's number


class S3Server(Server):
    """An S3 with one account; `endpoint` is its URL, for clients that put the bucket into the path.

    It checks signatures: credentials are `test` and `test`. Any region will do but as a LocationConstraint, which must
    be `REGION`. A key may not be a folder of another key (`a` and `a/b`: 409), and none of its parts longer than 255
    bytes: keys are paths of files.
    """

    service = environment.S3

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _answers(self) -> bool:
        # An unsigned request: 403 AccessDenied from a server that serves.
        return http_status(self.port, "/") == http.HTTPStatus.FORBIDDEN


class S3Gateway(S3Server, LocalServer):
    """As a process; a bucket is a folder in its directory."""

    @classmethod
    def prepare(cls) -> None:
        installed(PACKAGE, VERSION)

    def _command(self) -> list[str]:
        buckets = self.directory / "buckets"
        buckets.mkdir(exist_ok=True)
        command = [str(installed(PACKAGE, VERSION)), "--access", ACCESS_KEY_ID, "--secret", SECRET_ACCESS_KEY]
        command += ["--region", REGION, "--port", f"{HOST}:{self.port}", "--keep-alive", "--quiet"]
        if _keeps_attributes(buckets):
            return [*command, "posix", str(buckets)]
        metadata = self.directory / "metadata"
        metadata.mkdir(exist_ok=True)
        return [*command, "posix", "--sidecar", str(metadata), str(buckets)]


def _keeps_attributes(folder: Path) -> bool:
    """Whether an object's metadata can be attributes of its file: there or not there together, also after a kill."""
    if sys.platform != "linux":
        return True  # macOS has them, and Python no way to ask
    try:
        os.setxattr(folder, "user.probe", b"")
    except OSError:
        return False
    os.removexattr(folder, "user.probe")
    return True


def s3_client(endpoint: str) -> Any:
    """A boto3 client of the server at `endpoint` that tries once, so that a test sees what was answered."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=32
        ),
    )


def make_bucket(endpoint: str, prefix: str = "bucket") -> str:
    """The name of a new, empty bucket."""
    bucket = f"{prefix}-{uuid.uuid4().hex[:12]}"
    s3_client(endpoint).create_bucket(Bucket=bucket)
    return bucket
