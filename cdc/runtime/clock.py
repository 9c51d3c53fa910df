"""The two clocks of this machine."""

import time

from cdc.ports import Instant


class SystemClock:
    def now(self) -> Instant:
        return Instant(time.monotonic(), time.time())
