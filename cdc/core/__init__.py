"""The part that decides and never does: `Engine.handle(event, now) -> [command]`.

No I/O, no threads, no clock, no randomness: one list of events and times gives one list of commands, so that every
interleaving, fault and crash can be replayed.
"""
