"""Numbers as DynamoDB keeps them: 38 digits, decimal, one text for one value.

Developer Guide, "Data types": positive and negative 1E-130 to 9.99…E+125, and 0. Everything comes back in plain
decimal: `1E+2` as `100`, `-0` as `0`, `1.10` as `1.1`.
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal, Inexact

from cdc.testing.sim.requests import invalid

DIGITS = 38
HIGHEST_EXPONENT = 125
LOWEST_EXPONENT = -130

_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,37}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)
_EXACT = Context(prec=2 * (HIGHEST_EXPONENT - LOWEST_EXPONENT), traps=[Inexact])


def canonical_number(text: str) -> str:
    """The text that the service answers for a number that it was given.

    Raises:
        ServiceError: ValidationException: no number, too many digits, or out of range.
    """
    if _PLAIN.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise invalid("The parameter cannot be converted to a numeric value")
    return _canonical(Decimal(text))


def add(one: str, other: str) -> str:
    """The sum of two canonical numbers.

    Raises:
        ServiceError: ValidationException: it takes more digits than a number may have, or is out of range.
    """
    return _computed(_EXACT.add, one, other)


def subtract(one: str, other: str) -> str:
    """As `add`."""
    return _computed(_EXACT.subtract, one, other)


def _computed(operation: Callable[[Decimal, Decimal], Decimal], one: str, other: str) -> str:
    result = operation(Decimal(one), Decimal(other))
    if _significant(result) > DIGITS:
        # The service's words for a loss of precision, too (ScyllaDB's tests, which are run against it).
        raise _overflow()
    return _canonical(result) if result else "0"


def _canonical(number: Decimal) -> str:
    # Zeros, too: the service refuses `0e126` and `0e-131`, and takes `0.0e126` (ScyllaDB's tests against it).
    if number.adjusted() > HIGHEST_EXPONENT:
        raise _overflow()
    if number.adjusted() < LOWEST_EXPONENT:
        raise invalid(
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
        )
    if _significant(number) > DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _significant(number: Decimal) -> int:
    digits = "".join(map(str, number.as_tuple().digits))
    return len(digits.strip("0"))


def _overflow() -> Exception:
    return invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
