"""The two clocks of this machine."""

import time

from cdc.ports import Instant

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """`monotonic` goes on while the machine is suspended, where the system has such a clock (clock_gettime(2),
    CLOCK_BOOTTIME): leases and records expire meanwhile."""

    def now(self) -> Instant:
        monotonic = time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
        return Instant(monotonic, time.time())
