"""One encoding of a batch for all sinks that want the same."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from cdc.model import Batch, Change, EncodedBatch
from cdc.ports import Encoder

_KEPT = 8
"""Encoded batches that are kept for the other sinks; one that comes later encodes again."""


class SharedEncoder:
    """An encoder that does the same changes once, whoever asks first; the others wait for its result.

    Batches of several sinks are the same work if they hold the same list of changes: a sink that stood in the middle of
    the page has a list of its own.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._done: OrderedDict[int, tuple[Sequence[Change], Future[EncodedBatch]]] = OrderedDict()

    def encode(self, batch: Batch) -> EncodedBatch:
        key = id(batch.changes)
        with self._lock:
            known = self._done.get(key)
            mine = known is None or known[0] is not batch.changes
            if known is None or mine:
                known = (batch.changes, Future())
                self._done[key] = known
                while len(self._done) > _KEPT:
                    self._done.popitem(last=False)
        future = known[1]
        if mine:
            try:
                future.set_result(self._encoder.encode(batch))
            except BaseException as error:
                with self._lock:
                    self._done.pop(key, None)
                future.set_exception(error)
                raise
        return replace(future.result(), batch=batch)
