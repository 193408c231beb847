"""The engine: the order of results never depends on workers, and a dead worker is said in one line."""

import errno
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libertas.engine import CRASHED, THREAD_SETTINGS, TOO_LONG, TOO_MUCH_MEMORY, Failed, Limits, Pool, map_ordered
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


def no_room(number: int) -> int:
    if number == 5:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "shard")
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_in_a_worker_is_a_full_disk_and_no_crash(workers: int) -> None:
    with pytest.raises(OSError, match="No space left on device") as error:
        list(map_ordered(no_room, range(10), workers))
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "shard")


def lose_mapped_file(path: str) -> int:
    with open(path, "w+b") as file:
        file.truncate(4096)
        mapped = mmap.mmap(file.fileno(), 4096)
        file.truncate(0)
        return mapped[0]


def test_a_mapped_file_without_room_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(LibertasError, match="a file in memory could not be written; is the disk full"):
        list(map_ordered(lose_mapped_file, [str(tmp_path / "mapped")] * 3, workers=2))


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


def misbehave(number: int) -> int:
    if number == 3:
        while True:  # as in a regular expression that never ends
            number = number
    if number == 7:
        os.abort()
    if number == 11:
        return len(bytearray(4 << 30))
    return number * number


def test_what_hangs_or_crashes_or_eats_memory_fails_alone_and_the_order_stays() -> None:
    batches = [list(range(start, start + 4)) for start in range(0, 16, 4)]
    with Pool(misbehave, 2, Limits(seconds=0.3, memory=1 << 30)) as pool:
        outcomes = list(pool.map(batches))
    assert [batch for batch, _ in outcomes] == batches
    results = [result for _, some in outcomes for result in some]
    bad = {3: TOO_LONG, 7: CRASHED, 11: TOO_MUCH_MEMORY}
    assert results == [Failed(n, bad[n]) if n in bad else n * n for n in range(16)]


def wait(number: int) -> int:
    time.sleep(60 if number == 1 else 0)
    return number


def test_an_item_that_waits_for_what_never_comes_took_too_long() -> None:
    with Pool(wait, 1, Limits(seconds=0.1)) as pool:
        assert list(pool.map([[0, 1, 2]])) == [([0, 1, 2], [0, Failed(1, TOO_LONG), 2])]


def test_a_pool_goes_on_after_a_reader_that_went_away() -> None:
    with Pool(slow_square, 2) as pool:
        outcomes = pool.map([[n] for n in range(50)])
        assert next(outcomes) == ([0], [0])
        outcomes.close()  # type: ignore[attr-defined]
        assert list(pool.map([[5, 6]])) == [([5, 6], [25, 36])]


def thread_settings(_: int) -> list[str | None]:
    return [os.environ.get(name) for name in THREAD_SETTINGS]


def test_workers_compute_in_one_thread_each_unless_told_otherwise() -> None:
    """In a process of its own: the first pool of a process decides for all of its children."""
    script = (
        "from test_engine import *\nprint(list(map_ordered(thread_settings, [0, 1], workers=2)), thread_settings(0))"
    )
    for said, inside in ((None, "1"), ("3", "3")):
        environment = {k: v for k, v in os.environ.items() if k not in THREAD_SETTINGS}
        environment |= {"PYTHONPATH": str(Path(__file__).parent)} | ({THREAD_SETTINGS[0]: said} if said else {})
        command = [sys.executable, "-c", script]
        outcome = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
        assert outcome.stdout.strip() == f"{[[inside, '1', '1']] * 2} {[said, None, None]}"


def own_pid(number: int) -> int:
    return os.getpid()


if __name__ == "__main__":
    print("starting", flush=True)
    results = map_ordered(own_pid, range(1000), workers=2)
    print(next(results), flush=True)
    time.sleep(60)
