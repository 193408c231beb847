"""Programs that do what they should not: each is stopped, and none passes."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from libertas.errors import UsageError
from libertas.evaluate import sandbox
from libertas.evaluate.sandbox import HOOK, NAMESPACES, SandboxLimits, best_isolation, run_program

LIMITS = SandboxLimits(seconds=20)
SHORT = SandboxLimits(seconds=1)


@pytest.fixture(scope="module", params=[NAMESPACES, HOOK])
def isolation(request):
    if request.param == NAMESPACES and best_isolation() == HOOK:
        pytest.skip("this machine lets us make no namespaces")
    return request.param


def test_a_program_passes_if_it_reaches_its_end_and_says_what_stopped_it_otherwise(isolation):
    right = run_program("import statistics\nassert statistics.mean([1, 3]) == 2", LIMITS, isolation)
    assert (right.passed, right.why, right.isolation) == (True, "", isolation)
    wrong = run_program("assert 1 == 2, 'no'", LIMITS, isolation)
    assert (wrong.passed, wrong.why) == (False, "AssertionError: no")
    assert run_program("def f(:", LIMITS, isolation).why.startswith("SyntaxError")


def test_the_best_isolation_is_what_is_used():
    assert run_program("", LIMITS).isolation == best_isolation()


@pytest.mark.parametrize("leave", ["import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit"])
def test_leaving_before_the_tests_with_status_0_is_no_pass(leave, isolation):
    assert not run_program(f"{leave}\nassert False", LIMITS, isolation).passed


def test_printing_whatever_the_sandbox_prints_is_no_pass(isolation):
    said = "print('ready\\npassed\\nok'); import sys; sys.stderr.write('ready\\n'); sys.stdout.flush(); assert False"
    assert not run_program(said, LIMITS, isolation).passed
    to_every_file = (
        "import os\nfor n in range(100):\n    try: os.write(n, b'ready\\n' + b'0' * 32)\n    except OSError: pass\n"
        "os._exit(0)"
    )
    assert not run_program(to_every_file, LIMITS, isolation).passed


def test_an_endless_loop_is_killed_with_all_it_started(isolation):
    assert run_program("while True: pass", SHORT, isolation).why == "not finished after 1 seconds"


def test_what_a_program_leaves_behind_in_another_session_is_killed_too(monkeypatch):
    if best_isolation() == HOOK:
        pytest.skip("processes are refused without namespaces")
    folders, ran = [], sandbox._ran
    monkeypatch.setattr(sandbox, "_ran", lambda *given: (folders.append(given[2]), ran(*given))[1])
    leave = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(300)\n"
    assert not run_program(f"{leave}time.sleep(300)", SHORT).passed
    assert run_program(leave, LIMITS).passed
    assert len(folders) == 2
    assert not any(folder.encode() in environment for folder in folders for environment in environments())


def environments():
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (process / "environ").read_bytes()


def test_a_fork_bomb_is_stopped(isolation):
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    assert not run_program(bomb, SHORT, isolation).passed
    count = (
        "import os, time\nn = 0\ntry:\n    while os.fork(): n += 1\n    time.sleep(300)\n"
        "except OSError: assert n < 40, n\nelse: assert False"
    )
    assert run_program(count, LIMITS, isolation).passed


def test_ten_gigabytes_are_refused(isolation):
    assert run_program("x = bytearray(10 << 30)", LIMITS, isolation).why.startswith("MemoryError")


def test_files_can_only_be_written_in_a_folder_that_is_thrown_away(isolation):
    outside = Path(tempfile.gettempdir()) / f"libertas-outside-{os.getpid()}"
    outside.write_text("as it was")
    try:
        for change in (f"open({str(outside)!r}, 'w')", f"import os; os.remove({str(outside)!r})"):
            assert not run_program(change, LIMITS, isolation).passed
        assert outside.read_text() == "as it was"
    finally:
        outside.unlink()
    inside = "import os\nopen('note.txt', 'w').write('x')\nassert open('note.txt').read() == 'x'\nprint(os.getcwd())"
    before = set(Path(tempfile.gettempdir()).glob("libertas-sandbox-*"))
    assert run_program(inside, LIMITS, isolation).passed
    assert set(Path(tempfile.gettempdir()).glob("libertas-sandbox-*")) <= before
    assert not run_program("open('big', 'wb').write(bytes(64 << 20))", LIMITS, isolation).passed


def test_the_network_cannot_be_reached(isolation, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5).close()"
        subprocess.run([sys.executable, "-c", reach], check=True)  # so it is not the program that cannot do it
        verdict = run_program(reach, LIMITS, isolation)
    assert not verdict.passed
    assert verdict.why.startswith(("PermissionError: socket", "OSError: [Errno 101]", "ConnectionRefusedError"))


def test_the_program_has_no_rights_and_sees_nobody():
    if best_isolation() == HOOK:
        pytest.skip("this machine lets us make no namespaces")
    program = (
        "import ctypes, os\nassert os.getuid() and not os.listdir('/proc') and os.getppid() == 1\n"
        "assert ctypes.CDLL(None).mount(None, b'/', None, 32 | 4096, None) == -1\nassert set(os.environ) <= "
        "{'HOME', 'LC_ALL', 'PYTHONHASHSEED', 'LC_CTYPE'}, os.environ"
    )
    assert run_program(program, LIMITS).why == ""


def test_a_sandbox_that_cannot_be_made_is_an_error_and_not_a_wrong_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UsageError, match="no sandbox of kind audit hook"):
        run_program("", LIMITS, HOOK)
