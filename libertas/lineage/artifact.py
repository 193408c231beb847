"""Making artifacts: a directory that appears whole, or not at all.

A stage declares what it is about to make, reuses it when it exists, and otherwise builds it:

    draft = Draft(kind="corpus", out=config.out, config=config, inputs={"archive": [path]}, code=__name__)
    if not draft.finished():
        with draft.build() as folder:
            ...write files under folder...
            draft.counts["documents"] = {"in": 10, "out": 9, "dropped": 1}
"""

import fcntl
import os
import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from libertas.errors import DifferentArtifact, UsageError
from libertas.lineage.fingerprint import canonical, code_digest, file_digest, identity, resolved
from libertas.lineage.manifest import (
    MANIFEST,
    File,
    Input,
    Manifest,
    command_line,
    fingerprint,
    host_facts,
    is_artifact,
    named,
    read_manifest,
    require_sound,
)

DRAFT = "draft.json"
"""Present while a directory is being written: the fingerprint it is written for."""

WRITING = ".writing"
"""Suffix of a file that is still being written."""

PARTIAL = ".partial"
"""Suffix of a directory that is still being written; a finished artifact never carries it."""


def package_version() -> str:
    """Version of the installed package, or `0` when it runs from a plain source tree."""
    try:
        return version("libertas")
    except PackageNotFoundError:
        return "0"


class Draft:
    """An artifact that is about to be made, or turns out to exist already."""

    def __init__(
        self,
        *,
        kind: str,
        out: Path,
        config: Any,
        inputs: Mapping[str, Sequence[Path]],
        code: str,
        volatile: Sequence[str] = (),
    ) -> None:
        """Resolve inputs and compute the fingerprint; nothing is written yet.

        Args:
            kind: what is being made, such as `corpus`.
            out: directory it will have.
            config: the stage's frozen dataclass.
            inputs: role -> artifact directories or plain files.
            code: module of the stage; its source and that of what it imports are part of the fingerprint.
            volatile: patterns of files that hold clocks or depend on interruptions; they are hashed and verified, but
                do not enter `content`, so that the same work has the same content.

        Raises:
            UsageError: an input does not exist.
        """
        self.kind, self.out, self.config = kind, out, config
        self.counts: dict[str, Any] = {}
        self.code = code_digest(code)
        self.volatile = tuple(volatile)
        self.inputs = tuple(_describe(role, path, out) for role, paths in inputs.items() for path in paths)
        self.fingerprint = fingerprint(kind, identity(config), self.inputs, self.code)

    @property
    def partial(self) -> Path:
        """The directory that becomes `out` when everything in it is complete."""
        return self.out.with_name(self.out.name + PARTIAL)

    def finished(self) -> bool:
        """Whether `out` already holds exactly this artifact.

        Raises:
            DifferentArtifact: it was made differently; the message shows what differs.
            UsageError: something that is no artifact is there.
        """
        if not self.out.exists():
            inside = next((p for p in self.out.absolute().parents if is_artifact(p)), None)
            if inside and not inside.name.endswith(PARTIAL):
                raise UsageError(f"{self.out} would lie inside the artifact {inside}; choose an --out beside it")
            return False
        if not is_artifact(self.out):
            if self.out.is_dir() and not any(self.out.iterdir()):
                return False
            raise UsageError(
                f"{self.out} exists and is not an artifact (no {MANIFEST}); choose another --out or remove it"
            )
        present = read_manifest(self.out)
        wanted = [(i.role, i.content) for i in self.inputs]
        if present.fingerprint == self.fingerprint and wanted == [(i.role, i.content) for i in present.inputs]:
            (self.out / DRAFT).unlink(missing_ok=True)  # left by a kill between the rename and its removal
            return True
        raise DifferentArtifact(
            f"{self.out} exists but was made differently: {self._difference(present)}; "
            "choose another --out, remove it, or run the lab with --fresh"
        )

    def _difference(self, present: Manifest) -> str:
        if present.kind != self.kind:
            return f"it is {named(present.kind)}, this command makes {named(self.kind)}"
        wanted = identity(self.config)
        names = [n for n in sorted(wanted.keys() | present.identity.keys()) if wanted.get(n) != present.identity.get(n)]
        if names:
            return ", ".join(f"{n} was {present.identity.get(n)!r} and is now {wanted.get(n)!r}" for n in names)
        if {(i.role, i.content) for i in present.inputs} != {(i.role, i.content) for i in self.inputs}:
            changed = {i.role for i in self.inputs} | {i.role for i in present.inputs}
            return f"its input ({', '.join(sorted(changed))}) had other content"
        return "libertas itself has changed since (other stage code)"

    @contextmanager
    def build(self, *, resume: bool = False, trusting: bool = False) -> Iterator[Path]:
        """Open the partial directory; on leaving, hash, write the manifest, and rename it to `out`.

        Args:
            resume: keep what an interrupted run left in the partial directory, instead of starting clean; without
                it, a failure also removes the partial directory.
            trusting: do not hash the inputs again before reading them; for artifacts that are saved again and again.

        Raises:
            UsageError: another process is building the same artifact.
            DifferentArtifact: an interrupted one of other settings is there.
            BrokenLineage: a byte of an input has changed since it was made.
        """
        lock, ours = -1, False
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.partial, os.O_RDONLY)
            self._lock(lock)
            ours, started, clock = True, datetime.now(UTC), time.monotonic()
            self._prepare(resume)
            if not trusting:
                self._check_inputs()
            yield self.partial
            self._publish(started, clock)
        except BaseException:
            if not ours:
                with suppress(OSError):
                    self.partial.rmdir()  # which fails where another process has begun to fill it
                raise
            worth_keeping = resume and self.partial.exists() and any(p.name != DRAFT for p in self.partial.iterdir())
            if not worth_keeping:
                shutil.rmtree(self.partial, ignore_errors=True)
            raise
        finally:
            if lock >= 0:
                os.close(lock)

    def _prepare(self, resume: bool) -> None:
        """Empty the partial directory, or see that what lies in it is the same work, interrupted."""
        claim = self.partial / DRAFT
        if resume and claim.exists():
            if _claimed_fingerprint(claim) != self.fingerprint:
                raise DifferentArtifact(
                    f"{self.partial} holds work on {named(self.kind)} that was interrupted and was made differently; "
                    "remove it, choose another --out, or run the lab with --fresh"
                )
            for leftover in (self.partial / MANIFEST, *self.partial.glob(f"*{WRITING}")):
                leftover.unlink(missing_ok=True)  # it was interrupted while it was published
            return
        for old in self.partial.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        write_json(claim, {"kind": self.kind, "fingerprint": self.fingerprint})

    def _check_inputs(self) -> None:
        """See that every input is still, byte for byte, what its manifest says."""
        for source in self.inputs:
            if source.kind != "file":
                folder = Path(os.path.normpath(_home(self.out) / source.path))
                require_sound(folder, read_manifest(folder))

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.partial} is being written by another process; wait for it or choose another --out"
            ) from None

    def _publish(self, started: datetime, clock: float) -> None:
        files = tuple(_list_files(self.partial))
        lasting = tuple(f for f in files if not any(fnmatch(f.path, pattern) for pattern in self.volatile))
        manifest = Manifest(
            kind=self.kind,
            fingerprint=self.fingerprint,
            content=Manifest.content_of(self.fingerprint, lasting),
            config=resolved(self.config),
            identity=identity(self.config),
            inputs=self.inputs,
            files=files,
            counts=self.counts,
            code=self.code,
            version=package_version(),
            command=command_line(),
            host=host_facts(),
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - clock, 3),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        write_durably(self.partial / MANIFEST, manifest.to_bytes())
        sync_path(self.partial)
        if self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()
        os.rename(self.partial, self.out)
        (self.out / DRAFT).unlink()
        sync_path(self.out.parent)


def _home(out: Path) -> Path:
    """`out` with every symbolic link above it followed, so that relative paths from it lead somewhere."""
    return out.parent.resolve() / out.name


def _claimed_fingerprint(claim: Path) -> str | None:
    try:
        fingerprint: str | None = orjson.loads(claim.read_bytes()).get("fingerprint")
    except orjson.JSONDecodeError:
        return None
    return fingerprint


def _describe(role: str, path: Path, out: Path) -> Input:
    relative = os.path.relpath(path.resolve(), _home(out))
    if path.is_dir():
        manifest = read_manifest(path)
        return Input(
            role=role, path=relative, fingerprint=manifest.fingerprint, content=manifest.content, kind=manifest.kind
        )
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected {named(role)} to read")
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a directory; expected {named(role)} to read")
    content = file_digest(path)
    return Input(role=role, path=relative, fingerprint=content, content=content, kind="file")


def _list_files(folder: Path) -> Iterator[File]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.parent != folder or path.name not in (DRAFT, MANIFEST):
            sync_path(path)
            yield File(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, hash=file_digest(path))


def sync_path(path: Path) -> None:
    """Make a file's bytes, or the renames inside a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is either absent or whole: temporary name, fsync, rename."""
    temporary = path.with_name(path.name + WRITING)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical JSON."""
    write_durably(path, canonical(value))
