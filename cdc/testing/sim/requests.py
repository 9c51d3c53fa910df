"""What every request is checked for before anything is looked up, and the words of a refusal.

Codes are the contract. Texts are the service's own where clients are known to read them, else only say what is wrong;
none of them holds a value of an item.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cdc.testing.sim.failures import ServiceError

Request = Mapping[str, Any]
Response = dict[str, Any]


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


class MismatchError(ServiceError):
    """A ValidationException that comes of a table's key schema, not of the request alone: a transaction is cancelled by
    it where a request that is wrong in itself is refused.
    """

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def not_found(message: str = "Requested resource not found") -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


def malformed(message: str) -> ServiceError:
    """The request's JSON has another shape than the operation's."""
    return ServiceError("SerializationException", message)


def check_members(request: Request, known: Collection[str]) -> None:
    """A test must not pass because the simulation ignored what it asked for.

    Raises:
        NotImplementedError: a member that the simulated service does not know, though the real one may.
    """
    for name in request:
        if name not in known:
            raise NotImplementedError(f"the simulated DynamoDB has no {name!r} here")


def required(request: Request, name: str) -> Any:
    """Raises: ServiceError: the member is missing."""
    value = request.get(name)
    if value is None:
        raise invalid(
            f"1 validation error detected: Value null at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
            "Member must not be null"
        )
    return value


def choice(request: Request, name: str, allowed: Collection[str], default: str) -> str:
    """Raises: ServiceError: not one of the `allowed`."""
    value: str = request.get(name, default)
    if value not in allowed:
        raise invalid(
            f"1 validation error detected: Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        )
    return value


def bounded(request: Request, name: str, lowest: int, highest: int | None = None) -> int | None:
    """Raises: ServiceError: there is such a number, and it is out of its bounds."""
    value: int | None = request.get(name)
    if value is not None and (value < lowest or (highest is not None and value > highest)):
        bound = f"greater than or equal to {lowest}" if value < lowest else f"less than or equal to {highest}"
        raise invalid(
            f"1 validation error detected: Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )
    return value
