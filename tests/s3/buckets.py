"""Buckets of stores that speak S3."""

from typing import Any
from uuid import uuid4


def new_bucket(client: Any) -> str:
    name = f"lake-{uuid4().hex[:20]}"
    client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name}
    )
    return name


def files_of(client: Any, bucket: str) -> dict[str, bytes]:
    """All objects, by their keys."""
    files = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page.get("Contents", ()):
            with client.get_object(Bucket=bucket, Key=listed["Key"])["Body"] as body:
                files[listed["Key"]] = body.read()
    return files


def uploads_of(client: Any, bucket: str) -> set[str]:
    """The keys of multipart uploads in progress."""
    listed = client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    return {upload["Key"] for upload in listed}
