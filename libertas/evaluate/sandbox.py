"""Running a program that a model wrote, with its tests, where it can do no harm. Never in our own process.

On Linux it runs in namespaces of its own: no network, no other processes, everything read-only but a folder in memory,
as a user without rights. Where namespaces are not to be had, a hook in the child's interpreter refuses sockets,
processes, and writing outside a throw-away folder; that stops accidents, not attacks. `Verdict.isolation` says which.
Time, memory, file sizes and processes are limited either way.

A program passes by reaching its end: only then is a word read that the caller put aside, and given back. So neither
`sys.exit(0)` nor printing anything passes. Who knows this file can cheat, as in every harness whose tests share a
process with what they test.

This file is also the child: `python sandbox.py`, with the standard library only.
"""

import contextlib
import ctypes
import functools
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

if __name__ != "__main__":
    from libertas.errors import UsageError

NAMESPACES, HOOK = "namespaces", "audit hook"
REPORT_BYTES = 1000
NOBODY = 65534
NEW_NAMESPACES = 0x00020000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
"""CLONE_NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET of linux/sched.h."""
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
"""Of linux/mount.h, as are the next ones."""
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, READ_ONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION = 0x20080522
HIDDEN = ("/proc", "/run", "/dev/shm")
"""Folders that are empty for the program: other processes, their sockets, their shared memory."""
REFUSED = {"socket", "subprocess", "ctypes", "os", "pty", "shutil", "signal", "sqlite3"}
"""First words of the events (Python's audit events table) that the hook refuses."""
HARMLESS = {"os.listdir", "os.scandir", "os.putenv", "os.unsetenv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What a program may use."""

    seconds: int = 10
    """By the clock on the wall, and of processor time."""
    memory_bytes: int = 1 << 30
    """Address space of each process."""
    file_bytes: int = 16 << 20
    """Of one file, and of all together where namespaces are to be had."""
    processes: int = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a program."""

    passed: bool
    """Whether it reached its end."""
    why: str
    """What stopped it, in the program's words: not to be trusted; empty if it passed."""
    isolation: str


def run_program(program: str, limits: SandboxLimits | None = None, isolation: str | None = None) -> Verdict:
    """Run a program with the tests at its end; it passes if it reaches that end without an error.

    Args:
        program: Python, for which the standard library is all there is.
        limits: what it may use.
        isolation: `NAMESPACES` or `HOOK`; otherwise namespaces, where they are to be had.

    Raises:
        UsageError: there is no such sandbox on this machine.
    """
    limits, isolation = limits or SandboxLimits(), isolation or best_isolation()
    word = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="libertas-sandbox-") as folder,
        _file(word.encode()) as seal,
        _file(b"") as report,
        _file(json.dumps([program, folder, isolation, asdict(limits)]).encode()) as order,
    ):
        files = [file.fileno() for file in (order, report, seal)]
        status = _ran([*map(str, files)], files, folder, limits.seconds)
        report.seek(0)
        ready, _, said = report.read(REPORT_BYTES).partition(b"\n")
    if ready != b"ready":
        why = ready.decode(errors="replace") or f"the child did not begin within {limits.seconds} seconds"
        raise UsageError(f"no sandbox of kind {isolation}: {why}; give it more seconds, or another kind")
    if status is None:
        return Verdict(False, f"not finished after {limits.seconds} seconds", isolation)
    if secrets.compare_digest(said, word.encode()):
        return Verdict(True, "", isolation)
    ended = {128 + signal.SIGXCPU: "its processor time was used up", 128 + signal.SIGKILL: "killed"}
    words = ascii(said.decode(errors="replace"))[1:-1] or ended.get(status, f"left with status {status} before its end")
    return Verdict(False, words, isolation)


@functools.cache
def best_isolation() -> str:
    """`NAMESPACES` where this machine lets us make them, otherwise `HOOK`."""
    try:
        return NAMESPACES if run_program("", isolation=NAMESPACES).passed else HOOK
    except UsageError:
        return HOOK


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield file


def _ran(arguments: list[str], files: list[int], folder: str, seconds: int) -> int | None:
    """Exit status of the child; None if it had to be killed, with all that it started, when its time was over."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-S", "-s", "-B", __file__, *arguments],
        cwd=folder,
        env={"PYTHONHASHSEED": "0", "HOME": folder, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=files,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:  # not yet reaped, so its number, which is the group's, is still its own
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# From here on: the child.


def _child(order: int, report: int, seal: int) -> NoReturn:
    program, folder, isolation, limits = json.loads(os.read(order, os.fstat(order).st_size))
    if isolation == HOOK:
        _run(program, report, seal, limits, folder)
    try:
        _enter_namespaces(folder, limits["file_bytes"])
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)  # should the caller be killed
    except (OSError, AttributeError) as error:
        os.write(report, f"{error}\n".encode())
        os._exit(1)
    first = os.fork()
    if not first:  # process 1 of its namespace: when it ends, so does every other
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
        second = os.fork()
        if not second:
            _run(program, report, seal, limits, None)
        first = second
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _enter_namespaces(folder: str, file_bytes: int) -> None:
    """Leave the network, the other processes and the right to write; only an empty folder in memory is writable."""
    here = Path(os.__file__).parent
    os.chdir(here)  # the way here may be closed to the user we become
    if os.getuid() == 0:  # limits on processes do not hold for root
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        _call("prctl", PR_SET_DUMPABLE, 1)  # or /proc/self would be root's
    user, group = os.getuid(), os.getgid()
    _call("unshare", NEW_NAMESPACES)
    for name, text in (("setgroups", "deny"), ("gid_map", f"{group} {group} 1"), ("uid_map", f"{user} {user} 1")):
        Path("/proc/self", name).write_text(text)
    _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY, 0, 0, 0)
    _call("syscall", MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
    for hidden in filter(os.path.isdir, HIDDEN):
        _call("mount", b"none", hidden.encode(), b"tmpfs", READ_ONLY, b"size=4k")
    _call("mount", b"none", folder.encode(), b"tmpfs", 0, f"size={file_bytes}".encode())
    library = Path(folder, "lib")
    library.mkdir()
    _call("mount", b".", bytes(library), None, MS_BIND | MS_REC, None)
    for package in [module for module in sys.modules.values() if hasattr(module, "__path__")]:
        package.__path__ = [path.replace(str(here), str(library), 1) for path in package.__path__]
    sys.path[:] = [str(library), str(library / "lib-dynload")]
    os.chdir(folder)


def _call(name: str, *arguments: Any) -> None:
    """A function of the C library, which says 0 if all is well."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _run(program: str, report: int, seal: int, limits: dict[str, int], folder: str | None) -> NoReturn:
    """Run the program; `folder`: where alone it may write, if that is for the hook to see to."""
    with contextlib.suppress(AttributeError, OSError):  # what is left of rights goes
        _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _call("capset", (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    for name, most in (
        ("RLIMIT_CPU", limits["seconds"]),
        ("RLIMIT_AS", limits["memory_bytes"]),
        ("RLIMIT_FSIZE", limits["file_bytes"]),
        ("RLIMIT_NPROC", limits["processes"]),
        ("RLIMIT_CORE", 0),
    ):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # not there, or lower already
            resource.setrlimit(getattr(resource, name), (most, most))
    os.write(report, b"ready\n")
    process = os.getpid()
    if folder is not None:
        sys.addaudithook(functools.partial(_refuse, os.path.realpath(folder) + os.sep))
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "program"})
    except BaseException as error:
        said = f"{type(error).__name__}: {error}".encode(errors="replace")[: REPORT_BYTES // 2]
    else:
        said = os.read(seal, 100)
    if os.getpid() == process:  # and not one that it started
        os.write(report, said)
    os._exit(0)


def _refuse(folder: str, event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook (PEP 578): it cannot be taken away again from within Python."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writes and not (isinstance(path, str | bytes) and os.path.realpath(os.fsdecode(path)).startswith(folder)):
            raise PermissionError(f"writing {path!r} is refused")
    elif event.partition(".")[0] in REFUSED and event not in HARMLESS:
        raise PermissionError(f"{event} is refused")


if __name__ == "__main__":
    _child(*map(int, sys.argv[1:]))
