"""`cdc check`: finds out with read-only calls whether a run would work. Changes nothing."""

from cdc.runtime.checks.parts import check
from cdc.runtime.checks.remedies import remedy

__all__ = ["check", "remedy"]
