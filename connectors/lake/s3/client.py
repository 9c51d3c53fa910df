"""botocore's side: a session, and a client that neither retries nor follows redirects on its own."""

from typing import Any, Literal

from botocore.config import Config

from cdc import aws
from cdc.errors import ErrorKind, SinkError
from connectors.lake.config import LakeConfig
from connectors.lake.s3.errors import CALLS, sink_error

_CONNECT_SECONDS = 3
_READ_SECONDS = 30
"""Between two bytes of an answer. The end of a large upload may take S3 minutes, in which it sends spaces."""


def create_client(config: LakeConfig, *, connections: int) -> Any:
    """A new client of a new session, so that credentials are looked for anew.

    Raises:
        SinkError: `CONFIGURATION`, `ACCESS_DENIED`.
    """
    settings = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},  # the lanes do, without keeping a thread
        tcp_keepalive=True,
        user_agent_extra="dynamodb-cdc/lake",
        s3={"addressing_style": _addressing_style(config)},
        # botocore's own checksums go as trailers of a chunked body, and with a header that announces them: older stores
        # refuse both. Those of this sink are plain headers (`connectors.lake.s3.bucket`).
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = aws.session(
            profile=config.profile,
            region=config.region,
            role_arn=config.role_arn,
            external_id=config.external_id,
            role_session_name=f"cdc-{config.name}",
        )
        client = session.create_client(
            "s3", region_name=config.region, endpoint_url=config.endpoint_url, config=settings
        )
    except ValueError:
        # botocore's word for an endpoint that is no URL.
        raise SinkError(ErrorKind.CONFIGURATION, "the lake's endpoint_url or region is not valid") from None
    except CALLS as error:
        mapped = sink_error(error, "session", config.url)
        if mapped is None:
            raise
        raise mapped from None
    client.meta.events.register("before-call.s3", _stay_in_the_region)
    return client


def _addressing_style(config: LakeConfig) -> Literal["auto", "path", "virtual"]:
    if config.path_style is None:
        return "auto" if config.endpoint_url is None else "path"
    return "path" if config.path_style else "virtual"


def _stay_in_the_region(context: dict[str, Any], **_: Any) -> None:
    """Botocore would ask for the bucket's region and go there, call for call; it does not where it has been already."""
    context.setdefault("s3_redirect", {})["redirected"] = True
