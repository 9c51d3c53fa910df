"""The stream model as a `Source`."""

from cdc.model import Listing, Page, Position, ShardKey, Stream
from tests.sim.engine.stream_model import StreamModel


class ModelSource:
    def __init__(self, model: StreamModel) -> None:
        self._model = model

    def stream(self, table: str) -> Stream:
        return self._model.stream

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        return self._model.listing() if parent is None else self._model.children(parent)

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        return self._model.iterator(shard, position, latest=latest)

    def read(self, shard: ShardKey, iterator: str) -> Page:
        return self._model.read(shard, iterator)

    def close(self) -> None: ...
