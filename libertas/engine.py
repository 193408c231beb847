"""Run a function over many items: here, or in several processes; the order of results never depends on it."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
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
        LibertasError: a worker process died (killed, or out of memory), or none could start: each imports the caller's
            script again, which must therefore keep its calls below `if __name__ == "__main__":`.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    context = get_context("spawn")
    ready = context.Event()
    with ProcessPoolExecutor(workers, context, initializer=_prepare_worker, initargs=(ready,)) as pool:
        try:
            for item in items:
                with _interrupts_wait():
                    waiting.append(pool.submit(function, item))
                if len(waiting) >= workers * ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            if not ready.is_set():
                raise LibertasError(
                    "no worker process could start: each imports the calling script again; put the script's calls "
                    'below `if __name__ == "__main__":`, or use workers=1'
                ) from error
            raise LibertasError(
                f"a worker process of {getattr(function, '__name__', function)} died, most likely killed for memory; "
                "run again with fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: processes started in it never see one, and so leave it to their parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(ready: Event) -> None:
    """Say that the worker runs, and let it end with its parent even if that is killed."""
    ready.set()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
