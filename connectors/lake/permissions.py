"""What a lake on S3 asks of AWS: exactly the calls of `connectors.lake.s3.bucket`."""

from collections.abc import Sequence

from cdc.connector import Statement, arn_start
from connectors.lake.config import LakeConfig


def permissions(config: LakeConfig) -> Sequence[Statement]:
    """Empty for a lake on a file system."""
    if not config.is_s3:
        return ()
    objects = (f"{bucket_arn(config)}/{config.place().prefix}*",)
    put = ("s3:PutObject", "s3:AbortMultipartUpload")
    statements = [
        Statement(
            sid="LakeFiles",
            actions=(*put, "s3:PutObjectAcl") if config.acl is not None else put,
            resources=objects,
            why="no file can be uploaded, or given up after a failure",
        ),
        Statement(
            sid="LakeLostAnswers",
            actions=("s3:GetObject",),
            resources=objects,
            why="a file whose upload ended without an answer is written again (HeadObject; nothing is read)",
        ),
        Statement(
            sid="LakeLeftovers",
            actions=("s3:ListBucketMultipartUploads",),
            resources=(bucket_arn(config),),
            why="the sink cannot be opened, and what a dead process left in progress is not found",
        ),
    ]
    if config.encryption is not None and config.encryption.type == "sse-kms":
        statements.append(
            Statement(
                sid="LakeKey",
                actions=("kms:GenerateDataKey", "kms:Decrypt"),
                resources=(_key_arn(config.encryption.kms_key_id or ""),),
                why="no file can be encrypted; the parts of an upload are decrypted when it ends",
            )
        )
    return statements


def _key_arn(key: str) -> str:
    """No policy knows a key by its id or an alias (AWS KMS developer guide, "Specifying KMS keys in IAM policy
    statements"): an alias's ARN tells region and account alone, an id nothing."""
    if not key.startswith("arn:"):
        return "*"
    start, resource = key.rsplit(":", 1)
    return f"{start}:key/*" if resource.startswith("alias/") else key


def bucket_arn(config: LakeConfig) -> str:
    """Without region and account, which no ARN of S3 has (Service authorization reference, Amazon S3)."""
    partition = arn_start(config, "s3").split(":")[1]
    return f"arn:{partition}:s3:::{config.place().bucket}"
