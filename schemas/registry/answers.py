"""What the answers and failures of a Confluent-compatible registry mean in the words of `cdc.errors`.

Nothing of what a server says is repeated but words from a fixed list: its messages quote schemas, and a proxy's may quote
the request, credentials included. For the same reason the vendor's exceptions are not chained.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
from confluent_kafka.schema_registry.error import SchemaRegistryError

from cdc.errors import ErrorKind, RegistryError

NOT_THE_API = (
    "look whether `url` is the API of a schema registry, path included, and what a proxy in between answers"
)

_KINDS: Mapping[int, ErrorKind] = {
    # Confluent documentation, "Schema Registry API Reference": by status, and by error code where that says more.
    401: ErrorKind.ACCESS_DENIED,
    403: ErrorKind.ACCESS_DENIED,
    407: ErrorKind.ACCESS_DENIED,
    408: ErrorKind.UNAVAILABLE,
    409: ErrorKind.UNENCODABLE,
    422: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.THROTTLED,
    42205: ErrorKind.ACCESS_DENIED,
}
_MEANINGS: Mapping[int, str] = {
    401: "the server does not know these credentials",
    403: "the server does not allow this with these credentials",
    407: "a proxy asks for credentials",
    409: "the schema is not compatible with the ones that the subject has",
    422: "the server takes no such schema or subject",
    429: "the server asks for fewer calls",
    42201: "the server calls the schema invalid",
    42205: "the server or the subject is read-only",
    40401: "the subject does not exist",
    40402: "the version does not exist",
    40403: "the schema does not exist",
}
_REMEDIES: Mapping[int, str] = {
    401: "give or renew `basic`, `bearer_token` or the client's certificate",
    403: "allow reading and writing these subjects, or register the schemas by hand and set `auto_register: false`",
    409: "look who else registers under this subject; then give the sink another topic or `subject` strategy, or set "
    "the subject's compatibility to NONE until it is registered, and restart",
    42205: "set the mode of the subject or the server to READWRITE, or register the schemas by hand and set "
    "`auto_register: false`",
}

_SAID = re.compile(
    r"\b(?:(?:BACKWARD|FORWARD|FULL)(?:_TRANSITIVE)?|NAME_MISMATCH|TYPE_MISMATCH|FIXED_SIZE_MISMATCH|"
    r"MISSING_ENUM_SYMBOLS|MISSING_UNION_BRANCH|READER_FIELD_MISSING_DEFAULT_VALUE)\b"
)
"""What a server says about incompatible schemas, in the words of Avro's own checker and of the API."""

_NOT_FOUND = range(40401, 40500)
"""Error codes of the API. A bare 404 is what a server says to a path that it does not have."""


@contextmanager
def mapped_errors(about: str, *, timeout_seconds: float, not_found: str = "") -> Iterator[None]:
    """
    Args:
        about: the server, and what it is asked for.
        timeout_seconds: that the client waits.
        not_found: the remedy where what is asked for does not exist.

    Raises:
        RegistryError: whatever the vendor's client raised.
    """
    try:
        yield
    except SchemaRegistryError as error:
        raise _refusal(about, error, not_found) from None
    except httpx.TimeoutException:
        raise RegistryError(
            ErrorKind.UNAVAILABLE, f"{about}: no answer within {timeout_seconds:g} s"
        ) from None
    except httpx.TransportError as error:
        raise RegistryError(
            ErrorKind.UNAVAILABLE, f"{about}: {_reason(error)}", remedy=_transport_remedy(error)
        ) from None
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The client takes an answer of 200 for what it should be; what it trips over is that it is not.
        raise RegistryError(
            ErrorKind.MALFORMED,
            f"{about}: the answer is none of a schema registry ({type(error).__name__})",
            remedy=NOT_THE_API,
        ) from None


def _refusal(about: str, error: SchemaRegistryError, not_found: str) -> RegistryError:
    status = error.http_status_code
    said_code: Any = error.error_code  # whatever JSON the answer has there
    code = said_code if isinstance(said_code, int) else SchemaRegistryError.UNKNOWN
    told = f"{about}: HTTP {status}" + (f", error code {code}" if code not in (-1, status) else "")
    if status == 404:  # noqa: PLR2004 - as in the API's reference
        if code in _NOT_FOUND:
            meaning = _MEANINGS.get(code, "it does not exist")
            return RegistryError(ErrorKind.NOT_FOUND, f"{told}: {meaning}", remedy=not_found)
        return RegistryError(ErrorKind.MALFORMED, f"{told}: no schema registry is there", remedy=NOT_THE_API)
    kind = _KINDS.get(code, _KINDS.get(status))
    if kind is None:
        kind = _by_class(status)
    meaning = _MEANINGS.get(code, _MEANINGS.get(status, ""))
    if status == 409:  # noqa: PLR2004
        said = list(dict.fromkeys(_SAID.findall(str(error.error_message))))
        meaning += f" ({', '.join(said)})" if said else ""
    remedy = _REMEDIES.get(code, _REMEDIES.get(status, NOT_THE_API if kind is ErrorKind.MALFORMED else ""))
    return RegistryError(kind, f"{told}: {meaning}" if meaning else told, remedy=remedy)


def _by_class(status: int) -> ErrorKind:
    if status >= 500:  # noqa: PLR2004
        return ErrorKind.UNAVAILABLE
    return ErrorKind.MALFORMED


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: Exception) -> str:
    """Why there was no answer, in the operating system's words or none: others may quote a header."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS fails: {cause.reason or 'no reason given'}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return f"no answer ({type(error).__name__})"


def _transport_remedy(error: Exception) -> str:
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return "set `ca_file` to who signed the server's certificate; `certificate_file` and `key_file` if it asks for one"
    return ""
