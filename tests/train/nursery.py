"""Trainings in processes of their own that start at once: a process that has imported everything forks for each."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from libertas.train.journal import read_metrics

PROGRAM = """
import os, sys
import torch._dynamo  # which optimizers import, in two seconds
import libertas.cli, libertas.train.replay, libertas.train.audit
for line in sys.stdin:
    log, *words = line.split()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(2, 1)
        try:
            libertas.cli.main(words)
        except SystemExit as stop:
            os._exit(stop.code or 0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(99)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Nursery:
    """One training at a time, by the command line; use it in a `with` block."""

    def __enter__(self) -> "Nursery":
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self.parent.stdin
        assert self.parent.stdout
        self.parent.stdin.close()
        self.parent.wait(60)
        self.parent.stdout.close()

    def start(self, log: Path, *words: object) -> int:
        """Start a command; its process id."""
        assert self.parent.stdin
        assert self.parent.stdout
        self.parent.stdin.write(" ".join(map(str, (log, *words))) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def end(self) -> int:
        """Wait for the command; its exit status, negative for a signal."""
        assert self.parent.stdout
        return int(self.parent.stdout.readline())

    def run(self, log: Path, *words: object) -> int:
        """Start a command and wait for it."""
        self.start(log, *words)
        return self.end()

    def strike(
        self, number: signal.Signals, pid: int, when: Callable[[], bool], delay: float, seconds: float = 60
    ) -> bool:
        """Send a signal some time after a condition holds; whether the process was still there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
            if when():
                time.sleep(delay)
                break
            time.sleep(0.002)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


def steps_in(folder: Path) -> int:
    """Steps of which a run's journal has the line."""
    return len(read_metrics(folder / "metrics.jsonl")) if folder.exists() else 0
