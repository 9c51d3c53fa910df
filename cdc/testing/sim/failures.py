"""What a call ends with instead of an answer."""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """The service answered with an error.

    Args:
        code: as in `__type`, without its namespace: `ResourceNotFoundException`.
        message: the service's own text, where a client may depend on it.
        status: of HTTP; 400, or 500 and 503.
        members: of the error's shape beside the message: `CancellationReasons`, `Item`.
    """

    def __init__(
        self, code: str, message: str = "", *, status: int = 400, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code, message)
        self.code, self.message, self.status, self.members = code, message, status, members or {}


class NoAnswerError(Exception):
    """The connection broke, or nothing came in time. Whether the call was carried out is not known."""
