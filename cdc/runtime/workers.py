"""The one place that makes threads: all named, bounded, and joined at the end or named as left behind."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor


class Workers:
    """Hands out pools, and ends them."""

    def __init__(self) -> None:
        self._pools: list[ThreadPoolExecutor] = []
        self._lock = threading.Lock()

    def pool(self, name: str, most: int) -> ThreadPoolExecutor:
        """A pool of at most `most` threads, called `cdc-{name}_0` and so on."""
        pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix=f"cdc-{name}")
        with self._lock:
            self._pools.append(pool)
        return pool

    def spawner(self, name: str) -> Callable[[int], Executor]:
        """What a connector makes its own threads with."""
        return lambda most: self.pool(name, most)

    def daemon(self, target: Callable[[], None], /, *, name: str) -> threading.Thread:
        """Starts a thread that does not keep the process from ending; whoever asks for it ends it."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def close(self, seconds: float) -> list[str]:
        """Lets running work end, drops what has not begun, and returns the names of threads that did not end in time:
        they hang in a call to the outside. The interpreter would wait for them at its own end, so whoever gets names
        here has to leave by `os._exit`.
        """
        with self._lock:
            pools, self._pools = self._pools, []
        deadline = time.monotonic() + seconds
        threads: list[threading.Thread] = []
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
            threads.extend(pool._threads)  # noqa: SLF001 - a pool has no join with a time limit
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return sorted(thread.name for thread in threads if thread.is_alive())
