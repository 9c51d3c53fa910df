"""Randomness by concern: what one part of a run draws does not change what the others draw."""

import random


class Dice:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def of(self, concern: str) -> random.Random:
        """The stream of this concern: the same one at every call, the same numbers for the same seed."""
        found = self._streams.get(concern)
        if found is None:
            found = self._streams[concern] = random.Random(f"{self._seed} {concern}")
        return found
