"""Noticing that a process is gone, and which one: every process tells the launcher's store that it lives.

A process that is killed says nothing, and what the others then see is a closed connection without a name, or nothing at
all. Here each one counts up a number of its own every second and watches the number of the process after it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

BEAT_SECONDS = 1.0
SILENCE_SECONDS = 30.0
"""Without a beat for so long, a process counts as gone."""
SUSPICION_SECONDS = 5.0
"""The same where an exchange has just failed, so that somebody is likely gone."""
LEAVING_SECONDS = 10.0
"""How long a process may take to end by itself once another one is known to be gone; it may be waiting forever."""
LEFT = b"left"


class Heartbeat:
    """The beats of one process, and its watch over the next one."""

    def __init__(self, store: "Store", rank: int, ranks: int, out: str) -> None:
        """Start beating; `out` is the run's folder, for the message."""
        self.store, self.rank, self.ranks, self.out = store, rank, ranks, out
        self.step = 0
        """The last step that this process has done; the others are at the same, or one further."""
        self._asked = False
        self._leaving = threading.Event()
        self.store.set(f"beat {rank}", "0")
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self, reason: str = "") -> None:
        """End the beats; with a reason, the others are told to stop as well, and why."""
        self._leaving.set()
        self._thread.join()
        try:
            if reason:
                self.store.compare_set("gone", "", reason)
            self.store.set(f"beat {self.rank}", LEFT.decode())
        except RuntimeError:
            pass  # the store is gone as well: there is nobody to tell

    def missing(self) -> str | None:
        """After an exchange failed: who is gone, in words, or None if all are there. Takes `SUSPICION_SECONDS`."""
        self._asked = True
        try:
            before = self._beats()
            time.sleep(SUSPICION_SECONDS)
            after = self._beats()
        except RuntimeError:
            return self._told("the launcher, or the first process,")
        silent = [r for r in range(self.ranks) if before[r] == after[r] and r != self.rank and after[r] != LEFT]
        if silent:
            return self._told(self._named(silent))
        return self.store.get("gone").decode() if self.store.check(["gone"]) else None

    def _beats(self) -> list[bytes]:
        return [self.store.get(f"beat {rank}") for rank in range(self.ranks)]

    def _run(self) -> None:
        watched = (self.rank + 1) % self.ranks
        key = f"beat {watched}"
        beat, last, since = 0, b"", time.monotonic()
        while not self._leaving.wait(BEAT_SECONDS):
            beat += 1
            try:
                self.store.set(f"beat {self.rank}", str(beat))
                seen = self.store.get(key) if self.store.check([key]) else b""
                if seen != last or seen == LEFT:
                    last, since = seen, time.monotonic()
                if time.monotonic() - since > SILENCE_SECONDS:
                    self.store.compare_set("gone", "", self._told(self._named([watched])))
                gone = self.store.get("gone").decode() if self.store.check(["gone"]) else ""
            except RuntimeError:
                gone = self._told("the launcher, or the first process,")
            if gone and not self._asked and not self._leaving.wait(LEAVING_SECONDS):
                print(f"libertas: {' '.join(gone.split())}", file=sys.stderr, flush=True)
                os._exit(1)  # the main thread waits inside an exchange that nobody will answer

    def _named(self, ranks: list[int]) -> str:
        return f"rank {', '.join(str(rank) for rank in ranks)} of {self.ranks}"

    def _told(self, who: str) -> str:
        return (
            f"{who} is gone after step {self.step:,}; what was saved is in {self.out}.partial, and the same command "
            "continues from the newest state there"
        )


@contextmanager
def time_to_speak() -> Iterator[None]:
    """SIGTERM, where the training loop does not take it, ends this process only after `LEAVING_SECONDS`.

    The launcher sends it to all others as soon as one is gone, and they have yet to find out and say which.
    """

    def leave_later(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(LEAVING_SECONDS, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()

    try:
        previous = signal.signal(signal.SIGTERM, leave_later)
    except ValueError:  # not the main thread: signals are the caller's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
