"""Where a lake can lie, as a property test sees it: what fails, what readers see, what would outlive a power failure."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cdc.errors import ErrorKind
from cdc.ports import Instant
from cdc.testing.clock import ManualClock
from cdc.testing.content import Content
from connectors.lake.sink import LakeSink
from tests.lake_batches import lake_sink
from tests.lake_disks import PowerLossDisk
from tests.lake_files import content_of_files, visible_files
from tests.s3.lakes import SMALL, s3_config, s3_context, s3_sink
from tests.s3.server import Fault, LoseAnswer, LoseRequest, Refuse, S3Server, well
from tests.s3.store import Request, Store

FAULTS = 5
"""How many kinds of them each world has."""


class World(Protocol):
    sink: LakeSink
    kinds: set[ErrorKind]
    """What batches may come back with."""
    memory_bytes: float

    @property
    def failed(self) -> bool:
        """Something has failed, once."""
        ...

    def fail(self, fault: int, *, at: int, calls: int) -> None:
        """Call number `at` from now, and the `calls - 1` after it."""
        ...

    def mend(self) -> None: ...

    def pass_time(self) -> None: ...

    def visible(self) -> Content: ...

    def safe(self) -> Content:
        """Of what is visible: that which a power failure leaves."""
        ...


class Folder:
    ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOTDIR, errno.EROFS)

    def __init__(self, base: Path, megabytes: float) -> None:
        self.kinds = {ErrorKind.UNAVAILABLE, ErrorKind.ACCESS_DENIED}
        self.memory_bytes = float("inf")
        self._lake = base / "lake"
        self._disk = PowerLossDisk()
        settings = {"flush_after_megabytes": megabytes, "codec": "null"}
        self.sink = lake_sink(base, disk=self._disk, settings=settings)

    @property
    def failed(self) -> bool:
        return bool(self._disk.failed)

    def fail(self, fault: int, *, at: int, calls: int) -> None:
        self._disk.fail(self.ERRORS[fault], at=at, calls=calls)

    def mend(self) -> None:
        self._disk.mend()

    def pass_time(self) -> None:
        """Nothing waits for it."""

    def visible(self) -> Content:
        return _content(visible_files(self._lake))

    def safe(self) -> Content:
        return _content(self._disk.survivors(visible_files(self._lake)))

    def leftovers(self) -> list[str]:
        return [str(path) for path in (self._lake / "_cdc").rglob("*.avro")]


def _content(files: list[Path]) -> Content:
    return content_of_files({str(path): path.read_bytes() for path in files})


class TickingClock(ManualClock):
    """Goes on with every look at it: what waits for a time gets there without waiting."""

    def now(self) -> Instant:
        self.advance(0.05)
        return super().now()


class Bucket:
    """All calls on the thread that asks, so that a run can be replayed; a lost answer may have been carried out."""

    FAULTS: tuple[Callable[[Request], Fault | None], ...] = (
        lambda _: Refuse("SlowDown", 503),
        lambda _: LoseAnswer(),
        lambda _: LoseRequest(),
        lambda _: Refuse("AccessDenied", 403),
        lambda request: Refuse(
            "InternalError", 200 if request.operation == "CompleteMultipartUpload" else 500
        ),
    )

    def __init__(self, server: S3Server, client: Any, megabytes: float) -> None:
        self.kinds = {ErrorKind.UNAVAILABLE, ErrorKind.ACCESS_DENIED, ErrorKind.THROTTLED}
        self.memory_bytes = SMALL.memory_bytes
        self.failed = False
        server.store = Store(least_part_bytes=SMALL.least_chunk_bytes, page=2)
        server.fault = well
        self._server = server
        self._client = client
        config = s3_config(server.url, flush_after_megabytes=megabytes, codec="null")
        self.sink = s3_sink(config, s3_context(clock=TickingClock()), connect=lambda: client)

    def fail(self, fault: int, *, at: int, calls: int) -> None:
        left = [at % 4, calls]  # a call here is what many are on a disk

        def choose(request: Request) -> Fault | None:
            if left[0]:
                left[0] -= 1
                return None
            if not left[1]:
                return None
            left[1] -= 1
            self.failed = True
            return self.FAULTS[fault](request)

        self._server.fault = choose

    def mend(self) -> None:
        self._server.fault = well

    def pass_time(self) -> None:
        for _ in range(20):
            with self.sink._lock:
                self.sink._do_what_is_due()

    def visible(self) -> Content:
        return content_of_files(self._server.store.objects)

    def safe(self) -> Content:
        return self.visible()

    def leftovers_after_the_next_claim(self) -> list[str]:
        """What was begun and not given up: its answer was lost, or the calls to give it up failed."""
        heir = s3_sink(s3_config(self._server.url), connect=lambda: self._client)
        heir.open()
        heir.claim([])
        heir.close(deadline=10)
        return [upload.key for upload in self._server.store.uploads.values()]
