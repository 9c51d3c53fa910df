"""What a lake on S3 asks of AWS: exactly the calls of `connectors.lake.s3.bucket`."""

from collections.abc import Sequence

from cdc.connector import Statement
from connectors.lake.config import LakeConfig


def permissions(config: LakeConfig) -> Sequence[Statement]:
    """Empty for a lake on a file system."""
    if not config.is_s3:
        return ()
    bucket, prefix = config.place()
    objects = (f"arn:{_partition(config)}:s3:::{bucket}/{prefix}*",)
    put = ("s3:PutObject", "s3:AbortMultipartUpload")
    statements = [
        Statement(
            sid="LakeFiles",
            actions=(*put, "s3:PutObjectAcl") if config.acl is not None else put,
            resources=objects,
            why="files are uploaded, and given up after a failure",
        ),
        Statement(
            sid="LakeLostAnswers",
            actions=("s3:GetObject",),
            resources=objects,
            why="whether a file is there whose upload ended without an answer (HeadObject; nothing is read)",
        ),
        Statement(
            sid="LakeLeftovers",
            actions=("s3:ListBucketMultipartUploads",),
            resources=(f"arn:{_partition(config)}:s3:::{bucket}",),
            why="the bucket is looked at when the sink opens, and what a dead process left in progress is found",
        ),
    ]
    if config.encryption is not None and config.encryption.type == "sse-kms":
        key = config.encryption.kms_key_id or ""
        statements.append(
            Statement(
                sid="LakeKey",
                actions=("kms:GenerateDataKey", "kms:Decrypt"),
                resources=(key if key.startswith("arn:") else "*",),
                why="files are encrypted with it; the parts of an upload are decrypted when it ends",
            )
        )
    if config.role_arn is not None:
        statements.append(
            Statement(
                sid="LakeRole",
                actions=("sts:AssumeRole",),
                resources=(config.role_arn,),
                why="the other statements are those of this role; this one is the process's own",
            )
        )
    return statements


def _partition(config: LakeConfig) -> str:
    """Of ARNs in the region (AWS General Reference, "Amazon Resource Names")."""
    region = config.region or ""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
