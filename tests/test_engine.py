"""The engine: the order of results never depends on workers, and a dead worker is said in one line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libertas.engine import map_ordered
from libertas.errors import LibertasError


def slow_square(number: int) -> int:
    time.sleep(0.02 if number % 3 == 0 else 0.0)
    return number * number


def die(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(map_ordered(slow_square, range(20), workers)) == [n * n for n in range(20)]


def test_items_are_read_only_a_little_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_ordered(slow_square, items(), workers=2, ahead=2)
    next(results)
    assert len(taken) <= 5
    results.close()  # type: ignore[attr-defined]


def test_a_dead_worker_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(LibertasError, match="a worker process of die died, most likely killed for memory; run again"):
        list(map_ordered(die, range(10), workers=2))


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    lines = "from libertas.engine import map_ordered\nprint(list(map_ordered(abs, [-1, 2], workers=2)))\n"
    script.write_text(lines)
    outcome = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 1
    said = next(line for line in outcome.stderr.splitlines() if line.startswith("libertas.errors.LibertasError: "))
    assert "no worker process could start: each imports the calling script again" in said
    assert '`if __name__ == "__main__":`' in said
    first, second = lines.splitlines()
    script.write_text(f"{first}\nif __name__ == '__main__':\n    {second}\n")
    guarded = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert (guarded.stdout, guarded.stderr) == ("[1, 2]\n", "")


def test_ctrl_c_stops_the_parent_alone_whenever_it_comes() -> None:
    for seconds in (0.0, 0.05, 0.2):  # while workers start, and while they work
        parent = subprocess.Popen(
            [sys.executable, __file__],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert parent.stdout.readline() == "starting\n"
        time.sleep(seconds)
        os.killpg(parent.pid, signal.SIGINT)
        with parent.stdout, parent.stderr:
            errors = parent.stderr.read()
        parent.wait(timeout=60)
        assert errors.count("Traceback") == 1, errors
        assert errors.rstrip().endswith("KeyboardInterrupt")


def test_an_exception_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(divmod_by_zero, range(4), workers=2))


def divmod_by_zero(number: int) -> int:
    return number // 0


def test_workers_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "starting\n"
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and os.path.exists(f"/proc/{worker}"):  # noqa: PTH110
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{worker}")  # noqa: PTH110


def own_pid(number: int) -> int:
    return os.getpid()


if __name__ == "__main__":
    print("starting", flush=True)
    results = map_ordered(own_pid, range(1000), workers=2)
    print(next(results), flush=True)
    time.sleep(60)
