"""Writing while training goes on: one thread, one job at a time."""

import threading
from collections.abc import Callable

Job = Callable[[], list[str]]
"""Something to write; returns what a person should know of it."""


class Writer:
    """Runs jobs beside the training; what one raises is raised again by the next `events`.

    The thread is a daemon: a process that has to stop at once does not wait for it, and what it leaves is an unfinished
    folder, as after a power cut.
    """

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._thread: threading.Thread | None = None
        self._events: list[str] = []
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is still running."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Job) -> None:
        """Start a job, after the one before it."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoints", daemon=True)
        self._thread.start()

    def _run(self, job: Job) -> None:
        try:
            self._events += job()
        except BaseException as error:  # it belongs to the training, which is told
            self._error = error

    def wait(self) -> None:
        """Wait for the job that is running."""
        if self._thread is not None:
            self._thread.join()

    def events(self) -> list[str]:
        """What finished jobs had to say since the last call.

        Raises:
            Exception: what a job raised.
        """
        if self._error is not None and not self.busy:
            error, self._error = self._error, None
            raise error
        found: list[str] = []
        while self._events:
            found.append(self._events.pop(0))
        return found
