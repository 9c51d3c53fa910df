"""Signed calls to DynamoDB with ready-made JSON bodies.

botocore finds credentials, region and endpoint and signs; its serialisation is left out, so that an image goes to the
replica as the very text that the stream gave: no number is read as a number, and a call costs half the time.
"""

import socket
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

from cdc import aws
from cdc.connector import CountCall
from cdc.errors import ErrorKind, SinkError
from connectors.replica import ReplicaConfig
from connectors.replica.errors import aws_errors

USER_AGENT = "dynamodb-cdc/replica"
"""What CloudTrail shows of a call."""
CONNECT_TIMEOUT_SECONDS = 2.5
READ_TIMEOUT_SECONDS = 5.0
"""Long for DynamoDB, which answers in milliseconds. A call that timed out is made again: its version makes it safe."""


class Answer(NamedTuple):
    status: int
    body: bytes


def open_session(config: ReplicaConfig) -> Session:
    """
    Raises:
        SinkError: `CONFIGURATION`.
    """
    with aws_errors("the replica's AWS session"):
        return aws.session(
            profile=config.profile,
            region=config.region,
            role_arn=config.role_arn,
            external_id=config.external_id,
            role_session_name="dynamodb-cdc",
        )


def dynamodb_client(session: Session, *, region: str | None, endpoint_url: str | None) -> Any:
    """A client of botocore's, for the few calls about tables. It does not retry: who opens a sink does.

    Raises:
        SinkError: `CONFIGURATION`, `ACCESS_DENIED`.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent_extra=USER_AGENT,
    )
    with aws_errors("the replica's AWS client"):
        try:
            return session.create_client(
                "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config
            )
        except ValueError:
            # botocore's word for an endpoint that is no URL.
            raise SinkError(
                ErrorKind.CONFIGURATION, "the replica's endpoint_url or region is not valid"
            ) from None


_BAD_REQUEST = 400
_EXPIRED = tuple(f'#{code}"'.encode() for code in aws.EXPIRED)
"""As `__type` ends in an error's answer; elsewhere in one it would cost a renewal, and nothing else."""


class Transport:
    """Makes calls from many threads over kept connections. Never retries.

    Args:
        session: finds the credentials.
        endpoint_url: where DynamoDB answers.
        region: what the signature is for.
        connections: how many calls are made at once.
        count_call: told of every call.
    """

    def __init__(
        self, session: Session, *, endpoint_url: str, region: str, connections: int, count_call: CountCall
    ) -> None:
        self._session = session
        self._url = endpoint_url if endpoint_url.endswith("/") else f"{endpoint_url}/"
        self._region = region
        self._count_call = count_call
        verify: Any = session.get_config_variable("ca_bundle") or True
        timeouts: Any = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        # Without TCP_NODELAY a body waits 40 ms for the acknowledgement of its head.
        no_delay: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        self._http = URLLib3Session(
            verify=verify,
            proxies=get_environ_proxies(self._url),
            timeout=timeouts,
            max_pool_connections=connections,
            socket_options=no_delay,
        )

    def post(self, operation: str, body: bytes) -> Answer:
        """One call.

        Raises:
            SinkError: `UNAVAILABLE` without an answer, in which case the call may have been carried out all the same;
                `ACCESS_DENIED` without credentials.
        """
        try:
            answer = self._post(operation, body)
        except SinkError as error:
            self._count_call(operation, error.kind)
            # The vendor's exception and its frames hold the request, hence the item, and keep connections open.
            error.__context__ = None
            raise error.with_traceback(None) from None
        self._count_call(operation, "ok" if answer.status == 200 else f"http-{answer.status}")  # noqa: PLR2004
        return answer

    def _post(self, operation: str, body: bytes) -> Answer:
        with aws_errors(f"DynamoDB {operation} at {self._url}"):
            request = AWSRequest(
                method="POST",
                url=self._url,
                data=body,
                headers={
                    "Content-Type": "application/x-amz-json-1.0",
                    "User-Agent": USER_AGENT,
                    "X-Amz-Target": f"DynamoDB_20120810.{operation}",
                },
            )
            SigV4Auth(self._credentials(), "dynamodb", self._region).add_auth(request)
            response = self._http.send(request.prepare())
            content = response.content
        if response.status_code == _BAD_REQUEST and any(code in content for code in _EXPIRED):
            aws.credentials_refused(self._session)
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) != len(content):
            message = f"DynamoDB {operation}: the answer broke off"
            raise SinkError(ErrorKind.UNAVAILABLE, message)
        return Answer(int(response.status_code), content)

    def _credentials(self) -> Any:
        """Access key, secret and token of one moment: those of the session may be renewed by another thread."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials.get_frozen_credentials()

    def close(self) -> None:
        self._http.close()
