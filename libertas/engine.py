"""Run a function over many items: here, or in several processes; the order of results never depends on it."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from libertas.errors import LibertasError

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = 1, ahead: int = 2
) -> Iterator[Result]:
    """Results of `function` in the order of `items`, with at most `workers * ahead` items in flight.

    Args:
        function: a module-level function of one argument, so that it can travel to another process.
        items: read lazily; never all in memory.
        workers: 1 runs in this process; more start that many processes.
        ahead: how many items each worker may be ahead of the reader.

    Raises:
        LibertasError: a worker process died (killed, or out of memory).
    """
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_prepare_worker) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= workers * ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise LibertasError(
                f"a worker process of {getattr(function, '__name__', function)} died, most likely killed for memory; "
                "run again with fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
