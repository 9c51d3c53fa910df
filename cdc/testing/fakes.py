"""The ports in memory, without threads or time of their own: for the tests of an engine, and for simulations."""

from cdc.testing.clock import ManualClock
from cdc.testing.faults import Faults
from cdc.testing.memory_sink import Delivered, MemoryDestination, MemorySink
from cdc.testing.memory_store import MemoryDeadLetters, MemoryState, MemoryStore

__all__ = [
    "Delivered",
    "Faults",
    "ManualClock",
    "MemoryDeadLetters",
    "MemoryDestination",
    "MemorySink",
    "MemoryState",
    "MemoryStore",
]
