"""What outlives an engine that is played by hand."""

from cdc.core import messages as m
from cdc.ports import Owner, Saved, StateChange
from cdc.testing.memory_store import MemoryState, MemoryStore
from tests.unit.core.script import Script


def after_saves(script: Script, before: Saved | None = None, *, last: bool = True) -> Saved:
    """What is saved once all saves that were asked for are done; without the `last`, if it was lost in a crash."""
    store = MemoryStore(MemoryState(before or script.saved))
    lease = store.acquire(Owner("host", 1, "0"), lease_seconds=1.0, now=0.0)
    changes: list[StateChange] = [save.change for save in script.sent if isinstance(save, m.Save)]
    for change in changes if last else changes[:-1]:
        store.save(lease, change)
    return store.load()
