"""Run a function over many items, in processes that may die, or on a Ray cluster; the order never depends on it.

A `Pool` has child processes and keeps the order of what it is given. A child that hangs, crashes or takes too much
memory is ended and replaced; its batch is run again, one item at a time, and what fails alone is a `Failed`. Time and
memory are watched by the kernel in the child itself (interval timers, resource limits), so that native code which
never returns is stopped as well, and the parent does nothing for it.
"""

import os
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver, get_context, resource_tracker, set_forkserver_preload
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Thread
from traceback import format_exception
from typing import Any, Generic, TypeVar

from libertas.errors import LibertasError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

TOO_LONG, CRASHED, TOO_MUCH_MEMORY = "took too long", "crashed the parser", "too much memory"
NO_ROOM = "a file in memory could not be written; is the disk full?"
"""What SIGBUS says of a process: the disk had no room for a page of a file that it had mapped."""
WAITING = 4
"""An item may wait (for a disk, for a core) this many times as long as it may compute."""
IN_HAND = 2
"""Batches that lie with a child: the one it works on, and the next, so that it never waits for its parent."""
OUT_OF_MEMORY = 71
"""Exit status of a child that could not allocate what it needed."""
ENDED_BY_TIMER = frozenset({-signal.SIGPROF, -signal.SIGALRM})


THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Where numeric libraries look for how many threads they may start, once, when they are loaded."""


@dataclass(frozen=True, slots=True)
class Failed(Generic[Item]):
    """An item on which a process ended, twice: the second time it was alone."""

    item: Item
    reason: str
    """`TOO_LONG`, `CRASHED`, `TOO_MUCH_MEMORY` or `NO_ROOM`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may take; None for no limit."""

    seconds: float | None = None
    """Of computing."""
    memory: int | None = None
    """Bytes of private memory that a child may have in all."""


NO_LIMITS = Limits()


class _Job(Generic[Item, Result]):
    """A batch and, once they are there, its results."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.results: list[Result | Failed[Item]] | None = None


class _Raised:
    """An exception in a child, on its way to the caller."""

    def __init__(self, error: Exception) -> None:
        error.add_note("in a worker process:\n" + "".join(format_exception(error)))
        self.error = error


class _Ended(Exception):
    """The process at the other end of a pipe is gone; an `OSError` that a function raised there is another thing."""


class Pool(Generic[Item, Result]):
    """Child processes that apply one function; use it in a `with` block.

    Args:
        function: a module-level function of one argument (or a `partial` of one), so that it can travel.
        workers: child processes.
        limits: what one item may take.
    """

    def __init__(self, function: Callable[[Item], Result], workers: int = 1, limits: Limits = NO_LIMITS) -> None:
        """Nothing is started yet."""
        self.function, self.workers, self.limits = function, workers, limits
        self._children: list[_Child[Item, Result]] = []

    def __enter__(self) -> "Pool[Item, Result]":
        """Nothing to prepare; children start with the first batch."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the children, whatever they are doing."""
        for child in self._children:
            child.end()
        self._children = []

    def map(
        self,
        batches: Iterable[Sequence[Item]],
        ahead: int = IN_HAND,
        weight: Callable[[Sequence[Item]], int] = len,
        most: int | None = None,
    ) -> Iterator[tuple[Sequence[Item], list[Result | Failed[Item]]]]:
        """Each batch with its results, in order.

        Args:
            batches: read lazily.
            ahead: at most `workers * ahead` of them are read beyond what was taken.
            weight: of a batch, for `most`.
            most: no further batch is read while those that were have more weight than this.

        Raises:
            LibertasError: a child was killed from outside, or none could start.
            Exception: what the function raised.
        """
        waiting: deque[_Job[Item, Result]] = deque()
        self._children = self._children or [_Child(self.function, self.limits) for _ in range(self.workers)]
        try:
            for batch in batches:
                job: _Job[Item, Result] = _Job(batch)
                waiting.append(job)
                while all(len(child.jobs) >= IN_HAND for child in self._children):
                    self._receive()
                min(self._children, key=lambda child: len(child.jobs)).give(job)
                while waiting and (
                    waiting[0].results is not None
                    or len(waiting) >= self.workers * ahead
                    or (most is not None and sum(weight(job.items) for job in waiting) > most)
                ):
                    yield self._first(waiting)
            while waiting:
                yield self._first(waiting)
        finally:
            if waiting:  # the reader went away: what is under way has no one to go to
                self.__exit__()

    def _first(self, waiting: deque[_Job[Item, Result]]) -> tuple[Sequence[Item], list[Result | Failed[Item]]]:
        while (results := waiting[0].results) is None:
            self._receive()
        return waiting.popleft().items, results

    def _receive(self) -> None:
        """Wait until a child says something."""
        busy = {child.connection: child for child in self._children if child.jobs}
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection), "only pipes are waited for"
            busy[connection].receive()


class _Child(Generic[Item, Result]):
    """One process, the pipe to it, and the batches that lie with it."""

    def __init__(self, function: Callable[[Item], Result], limits: Limits) -> None:
        self.function, self.limits = function, limits
        self.jobs: deque[_Job[Item, Result]] = deque()
        self._started_once = False
        self._start()

    def _start(self) -> None:
        context = get_context("forkserver")
        home = getattr(self.function, "func", self.function).__module__
        _start_forkserver(home)
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.function, self.limits), daemon=True)
        with _interrupts_wait(), _one_thread_each():
            self.process.start()
        other.close()
        self._ready = False

    def give(self, job: _Job[Item, Result]) -> None:
        self.jobs.append(job)
        self._send(job.items)

    def _send(self, items: Sequence[Item]) -> None:
        with suppress(OSError):  # it has ended; who reads from it next will notice
            self.connection.send(items)

    def receive(self) -> None:
        """Take the results of the first batch; if the process has ended, run that batch one item at a time."""
        try:
            results = self._results()
        except _Ended:
            self._bury()
            results = [self._alone(item) for item in self.jobs[0].items]
            for job in list(self.jobs)[1:]:
                self._send(job.items)
        self.jobs.popleft().results = results

    def _results(self) -> list[Result | Failed[Item]]:
        said = self._heard()
        if said is None:  # the greeting of a new process
            self._ready = self._started_once = True
            said = self._heard()
        if isinstance(said, _Raised):
            raise said.error
        results: list[Result | Failed[Item]] = said
        return results

    def _heard(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError) as error:
            raise _Ended from error

    def _alone(self, item: Item) -> Result | Failed[Item]:
        self._send([item])
        try:
            return self._results()[0]
        except _Ended:
            return Failed(item, self._bury())

    def _bury(self) -> str:
        """Replace the process that has ended; returns why it did."""
        self.connection.close()
        self.process.join()
        status = self.process.exitcode
        if not self._ready and not self._started_once:
            raise LibertasError(
                "no worker process could start: each imports the calling script again; put the script's calls "
                'below `if __name__ == "__main__":`'
            )
        if status == -signal.SIGKILL:
            raise LibertasError(
                f"a worker process of {_name(self.function)} died, most likely killed for memory; "
                "run again with fewer --workers"
            )
        self._start()
        if status == -signal.SIGBUS:
            return NO_ROOM
        return TOO_LONG if status in ENDED_BY_TIMER else TOO_MUCH_MEMORY if status == OUT_OF_MEMORY else CRASHED

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _name(function: Any) -> str:
    return str(getattr(getattr(function, "func", function), "__name__", function))


def _serve(connection: Connection, function: Callable[[Any], Any], limits: Limits) -> None:
    """The life of a child: batches in, lists of results out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)  # ends the process, even within native code
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # native code dies with many words; the parent has three
    batches: SimpleQueue[Sequence[Any]] = SimpleQueue()
    Thread(target=_listen, args=(connection, batches), daemon=True).start()
    _say(connection, None)
    while True:
        try:
            said: Any = [_limited(function, item, limits.seconds) for item in batches.get()]
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except Exception as error:
            said = _Raised(error)
        _set_timers(0)
        _say(connection, said)


def _say(connection: Connection, said: Any) -> None:
    try:
        connection.send(said)
    except OSError:
        os._exit(0)  # the parent is gone


def _limited(function: Callable[[Item], Result], item: Item, seconds: float | None) -> Result:
    if seconds is not None:
        _set_timers(seconds)
    return function(item)


def _set_timers(seconds: float) -> None:
    """End this process after so many seconds of computing, or `WAITING` times as many on the clock; 0 for never."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * WAITING)


def _listen(connection: Connection, batches: "SimpleQueue[Sequence[Any]]") -> None:
    """Take batches off the pipe at once, so that parent and child never wait for each other with full pipes."""
    try:
        while True:
            batches.put(connection.recv())
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone


def _start_forkserver(module: str) -> None:
    """Start the process that children are forked from, which imports a module, and do not wait for it."""
    set_forkserver_preload([module] if module != "__main__" else [])
    resource_tracker.ensure_running()  # which would let interrupts through
    with _interrupts_wait(), _one_thread_each():
        forkserver.ensure_running()


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: processes started in it never see one, and so leave it to their parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started in it compute with one thread, unless the user said otherwise: their number is the parallelism.

    Without it, two workers on two cores take twice as long as one: each matrix product waits for the other's threads.
    """
    absent = [name for name in THREAD_SETTINGS if name not in os.environ]
    os.environ.update(dict.fromkeys(absent, "1"))
    try:
        yield
    finally:
        for name in absent:
            os.environ.pop(name, None)


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = 1, ahead: int = IN_HAND
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
    with Pool(function, workers) as pool:
        for _, results in pool.map(([item] for item in items), ahead):
            for result in results:
                if isinstance(result, Failed):
                    what = "it crashed; try --workers 1" if result.reason == CRASHED else result.reason
                    raise LibertasError(f"a worker process of {_name(function)} died: {what}")
                yield result


def map_on_ray(
    function: Callable[[Item], Result], items: Iterable[Item], cpus: float = 1, tries: int = 3
) -> Iterator[tuple[Item, Result | Exception]]:
    """Each item with its result, or with what was raised, as they come; one Ray task for each item.

    Args:
        function: runs anywhere in the cluster; what it writes must lie on storage that all machines share.
        items: read a little ahead of what the cluster can do at once.
        cpus: cores that one task claims.
        tries: how often a task is started when its machine dies.

    Raises:
        UsageError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise UsageError("Ray is not installed; expected it for --engine ray; `pip install libertas[ray]`") from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    task = ray.remote(num_cpus=cpus, max_retries=tries - 1)(function)
    most = max(2, int(2 * ray.cluster_resources().get("CPU", 1) / cpus))
    running: dict[Any, Item] = {}
    source, more = iter(items), True
    while more or running:
        while more and len(running) < most:
            try:
                item = next(source)
            except StopIteration:
                more = False
            else:
                running[task.remote(item)] = item
        for done in ray.wait(list(running), num_returns=1)[0] if running else ():
            item = running.pop(done)
            try:
                yield item, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                yield item, error.cause if isinstance(error.cause, Exception) else error
