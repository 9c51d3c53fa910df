"""What an operator can do about an error."""

from collections.abc import Mapping

from cdc.core import policy
from cdc.errors import CdcError, ErrorKind

Rules = Mapping[ErrorKind, policy.Rule]


def remedy(rules: Rules, error: CdcError) -> str:
    """The error's own remedy, or the general one for its kind; empty where the message has to say it all."""
    general = rules.get(error.kind)
    return error.remedy or (general.remedy if general is not None else "")
