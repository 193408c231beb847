"""Being asked to stop: the loop finishes its step, saves, and leaves; asked by Ctrl-C twice, it leaves at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RESUME_ME = 75
"""Exit status of a training that saved its state and wants to be started again: EX_TEMPFAIL of sysexits.h, "try again
later". Job scripts and schedulers can tell it from success, from a mistake (1 or 2) and from a kill (137, 143)."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the state was saved first."""

    exit_status = RESUME_ME


class StoppedAtOnce(KeyboardInterrupt):
    """Ctrl-C arrived twice; nothing was saved, nothing is torn."""


@contextmanager
def stop_requests(notice: Callable[[], str] = str) -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives; the loop saves and stops after the current step.

    `notice` is what the person who asked is told at once.

    Raises:
        StoppedAtOnce: wherever the program is when a second SIGINT arrives. A second SIGTERM changes nothing: launchers
            send it after a Ctrl-C that every process has seen already.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if received.count(signal.SIGINT) > 1:
            raise StoppedAtOnce("stopped at once; the same command continues from the last state that was saved")
        if len(received) == 1 and (said := notice()):
            os.write(2, f"{said}\n".encode())  # what else prints may be in the middle of it

    try:
        previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are the caller's business
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
