"""`cdc demo`: the pipeline at work on this machine alone, and the proof that nothing was lost.

A black box to it is the service itself: it is run as a user runs it, and looked at with plain clients only. Nothing here
imports what is being shown.
"""

from cdc.demo.command import run

__all__ = ["run"]
