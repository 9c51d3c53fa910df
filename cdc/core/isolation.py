"""Which change it is that a sink refuses together with the whole batch around it.

The batch is halved, and the halves are given in order, one at a time, until a single change is refused: that one is to
blame, and becomes a dead letter. One bad change among n costs log2 n + 1 refusals, and no more memory than the places
where the parts end: the parts themselves are read again from the stream, as everything is that comes back.
"""

from bisect import bisect_left
from dataclasses import dataclass, field, replace

from cdc.core.tracker import Given
from cdc.model import Batch, Position, after


@dataclass(slots=True, eq=False)
class Isolation:
    """The search on one lane.

    Only a batch that was given while nothing else was on its way is ever blamed: a refusal of any other may be that of
    one before it.
    """

    ends: list[Position] = field(default_factory=list)
    """Where parts end, in order. Up to the last of them one part at a time is given."""
    letter: int | None = None
    """The change that is to blame is becoming this dead letter; nothing is given meanwhile."""
    buried: str = ""
    """The sequence number of the change whose dead letter is durable. In its place the sink is given an empty batch: a
    sink that keeps positions has to hear of this one too, and no sooner."""

    def refused(self, given: Given) -> None:
        """Halves what was given: at least one change."""
        for end in (after(given.middle), after(given.end.sequence)):
            at = bisect_left(self.ends, end.order, key=lambda known: known.order)
            if at == len(self.ends) or self.ends[at].order != end.order:
                self.ends.insert(at, end)

    def part(self, batch: Batch) -> Batch:
        """What may be given of a batch that begins where the lane stands, with nothing on its way."""
        while self.ends and self.ends[0].order <= batch.start.order:
            del self.ends[0]
        if not self.ends:
            self.buried = ""
            return batch
        part = batch.up_to(self.ends[0])
        if len(part.changes) != 1:
            return part
        (change,) = part.changes
        if change.sequence == self.buried:
            return replace(part, changes=(), body=b"")
        # It may be kept until the sink has answered: without the page that it was cut from.
        return replace(part, body=b'{"Records":[%b]}' % part.raw_record(change))

    def written(self, sequence: str) -> None:
        """The dead letter is durable."""
        self.letter, self.buried = None, sequence

