"""Where a pipeline keeps its lake, its schemas and its positions: in folders of this machine, or on servers."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import botocore.config
import botocore.session

from tests.integration.pipeline.workload import REGION

Settings = dict[str, Any]


class Places(Protocol):
    @property
    def lake(self) -> Settings:
        """Of the lake's sink: where it is."""
        ...

    @property
    def sections(self) -> Settings:
        """`schema` and `state` of the configuration."""
        ...

    def schema(self, number: int) -> str:
        """The Avro schema of this id, as a reader of the topic asks for it."""
        ...

    def lake_files(self, table: str) -> Iterator[str]:
        """The names of those that a reader of the lake sees, with their partitions, sorted."""
        ...

    def lake_file(self, name: str) -> bytes: ...

    def unfinished_uploads(self) -> list[str]:
        """What was begun and neither completed nor aborted: nobody sees it, and on S3 it is paid for."""
        ...

    def close(self) -> None: ...


class Folders:
    """All of it below one folder: SQLite, a registry of files, a lake of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake_folder = folder / "lake"

    @property
    def lake(self) -> Settings:
        return {"url": "file:./lake"}

    @property
    def sections(self) -> Settings:
        return {
            "schema": {"registry": {"type": "files", "path": "./schemas"}},
            "state": {"type": "sqlite", "path": "./state.db"},
        }

    def schema(self, number: int) -> str:
        return (self.folder / "schemas" / f"{number}.avsc").read_text("utf-8")

    def lake_files(self, table: str) -> Iterator[str]:
        for path in sorted((self.lake_folder / table).glob("dt=*/hour=*/*.avro")):
            if not path.name.startswith(("_", ".")):  # readers of lakes pass over them (Hive's convention)
                yield str(path.relative_to(self.lake_folder))

    def lake_file(self, name: str) -> bytes:
        return (self.lake_folder / name).read_bytes()

    def unfinished_uploads(self) -> list[str]:
        area = self.lake_folder / "_cdc/in-progress"
        return [str(path.relative_to(area)) for path in area.rglob("*") if path.is_file()]

    def close(self) -> None:
        return


class Servers:
    """Nothing on this machine but dead letters: a DynamoDB table, a schema registry, a bucket.

    Args:
        s3: endpoint; a bucket is made.
        registry: URL of a server with Confluent's API.
        dynamodb: endpoint of the table of positions.
        ours: by server, the endpoint under which the pipeline knows it, where that is another one (a relay).
    """

    def __init__(self, *, s3: str, registry: str, dynamodb: str, ours: dict[str, str] | None = None) -> None:
        ours = ours or {}
        self._registry = registry.rstrip("/")
        self._bucket = f"lake-{uuid4().hex[:12]}"
        session: Any = botocore.session.Session()
        self._s3 = session.create_client(
            "s3",
            region_name=REGION,
            endpoint_url=s3,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )
        self._s3.create_bucket(Bucket=self._bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.lake: Settings = {
            "url": f"s3://{self._bucket}/some/prefix",
            "region": REGION,
            "endpoint_url": ours.get("s3", s3),
        }
        self.sections: Settings = {
            "schema": {"registry": {"type": "confluent", "url": ours.get("registry", registry)}},
            "state": {
                "type": "dynamodb",
                "table": f"state-{uuid4().hex[:12]}",
                "region": REGION,
                "endpoint_url": ours.get("dynamodb", dynamodb),
            },
        }

    def schema(self, number: int) -> str:
        url = f"{self._registry}/schemas/ids/{number}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            text: str = json.load(answer)["schema"]
        return text

    def lake_files(self, table: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"some/prefix/{table}/"
        )
        names = [one["Key"] for page in pages for one in page.get("Contents", [])]
        for name in sorted(names):
            if not any(part[:1] in ("_", ".") for part in name.split("/")):
                yield name

    def lake_file(self, name: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        return body

    def unfinished_uploads(self) -> list[str]:
        answer = self._s3.list_multipart_uploads(Bucket=self._bucket)
        return [one["Key"] for one in answer.get("Uploads", [])]

    def close(self) -> None:
        self._s3.close()
