"""Sequence numbers: decimal text of 21 to 40 digits that grows along a stream, in length too."""

from random import Random

TICK_SECONDS = 1.82
"""What the numbers of published examples count in: a counter of such ticks since the stream began, then 20 digits."""
_DIGITS = 20
_LARGEST_STEP = 5000


class SequenceNumbers:
    """Those of one stream. A new stream begins near zero again: its numbers are lower than its predecessor's.

    They compare as integers: after ten ticks they have 22 digits, after a hundred 23, and text order is another one.
    """

    def __init__(self, rng: Random, began_at: float) -> None:
        self._rng = rng
        self._began_at = began_at
        self._suffix = rng.randrange(10**6)

    def next(self, now: float) -> int:
        """Larger than all before, at `now` (epoch seconds, never earlier than the last time)."""
        self._suffix += self._rng.randint(1, _LARGEST_STEP)
        ticks = 1 + int(max(0.0, now - self._began_at) / TICK_SECONDS)
        return int(ticks * 10**_DIGITS + self._suffix)
