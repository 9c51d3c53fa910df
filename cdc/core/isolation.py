"""Which change it is that a sink refuses together with the whole batch around it.

The batch is halved, and the halves are given in order, one at a time, until a single change is refused: that one is to
blame, and becomes a dead letter. One bad change among n costs about log2 n refusals, and no more memory than the places
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
    most: int | None = None
    """So many changes at most are given behind one that was to blame: where one is, more may be, and where all are,
    halving would cost twice as many refusals as looking at them one by one. Doubles with each part that is taken."""
    letter: int | None = None
    """The change that is to blame is becoming this dead letter; nothing is given meanwhile."""
    start: Position | None = None
    """Where the part began that was this change alone."""
    buried: str = ""
    """The sequence number of the change whose dead letter is durable. In its place the sink is given an empty batch: a
    sink that keeps positions has to hear of this one too, and no sooner."""

    def refused(self, given: Given) -> None:
        """Halves what was given: at least one change."""
        self.most = None
        for end in (after(given.middle), after(given.end.sequence)):
            at = bisect_left(self.ends, end.order, key=lambda known: known.order)
            if at == len(self.ends) or self.ends[at].order != end.order:
                self.ends.insert(at, end)

    def end(self) -> None:
        """What was searched is not there any more: the places where its parts end are no places now."""
        self.ends.clear()

    def taken(self) -> None:
        """A part is durable."""
        self.most = self.most and self.most * 2

    def blame(self, batch: Batch, letter: int) -> None:
        """This batch is one change, which becomes a dead letter."""
        self.letter, self.start = letter, batch.start

    def written(self, sequence: str) -> None:
        """The dead letter is durable."""
        self.letter, self.buried, self.most = None, sequence, 1

    def part(self, batch: Batch) -> Batch:
        """What may be given of a batch that begins where the lane stands, with nothing on its way."""
        while self.ends and self.ends[0].order <= batch.start.order:
            del self.ends[0]
        if not self.ends:
            self.buried, self.most = "", None
            return batch
        part = batch.up_to(self.ends[0])
        if self.most is not None and len(part.changes) > self.most:
            part = part.up_to(after(part.changes[self.most - 1].sequence))
        if len(part.changes) != 1:
            return part
        (change,) = part.changes
        if change.sequence == self.buried:
            return replace(part, changes=(), body=b"")
        # It may be kept until the sink has answered: without the page that it was cut from.
        return replace(part, body=b'{"Records":[%b]}' % part.raw_record(change))
