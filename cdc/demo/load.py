"""The writer: changes orders at a steady pace, in a thread beside everything else."""

import threading
import time
from typing import Any

from cdc.demo.orders import Request, Shop

SECONDS = 16.0
"""How long all of the changes take, if the machine keeps up: long enough to kill something in the middle."""


class Writer:
    """Writes one after the other, each acknowledged before the next begins, so that the order is known.

    Args:
        dynamodb: client of the source's region.
        events: how many changes in all.
    """

    def __init__(self, dynamodb: Any, shop: Shop, events: int) -> None:
        self._dynamodb = dynamodb
        self._shop = shop
        self._events = events
        self._pause = SECONDS / events
        self._allowed = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.requests: list[Request] = []
        """What was written."""

    def place_followed(self) -> None:
        """The first order, before `start`."""
        self._write(self._shop.place_followed())

    def start(self) -> None:
        self._thread.start()

    def allow(self, events: int) -> None:
        """Goes on until so many changes have been made."""
        with self._changed:
            self._allowed = events
            self._changed.notify_all()

    @property
    def written(self) -> int:
        """
        Raises:
            BaseException: what ended the writer.
        """
        if self._error is not None:
            raise self._error
        return len(self.requests)

    def end(self) -> None:
        """Writes no more."""
        self.allow(-1)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            requests = self._shop.requests()
            due = time.monotonic()
            while len(self.requests) < self._events and self._may_go_on():
                # What was missed while it was held up is not made good for: the pace stays.
                due = max(due + self._pause, time.monotonic() - self._pause)
                time.sleep(max(0.0, due - time.monotonic()))
                self._write(next(requests))
        except BaseException as error:  # noqa: BLE001 - raised again by `written`, in the thread that looks
            self._error = error

    def _may_go_on(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._allowed < 0 or len(self.requests) < self._allowed)
            return self._allowed >= 0

    def _write(self, request: Request) -> None:
        getattr(self._dynamodb, request.operation)(**request.arguments)
        self.requests.append(request)
