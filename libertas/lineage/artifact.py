"""Making artifacts: a directory that appears whole, or not at all.

A stage declares what it is about to make, reuses it when it exists, and otherwise builds it:

    draft = Draft(kind="corpus", out=config.out, config=config, inputs={"archive": [path]}, code=("libertas.gather",))
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
from contextlib import contextmanager
from datetime import UTC, datetime
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
    read_manifest,
)

DRAFT = "draft.json"
"""Present while a directory is being written: the fingerprint it is written for."""

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
        code: Sequence[str],
    ) -> None:
        """Resolve inputs and compute the fingerprint; nothing is written yet.

        Args:
            kind: what is being made, such as `corpus`.
            out: directory it will have.
            config: the stage's frozen dataclass.
            inputs: role -> artifact directories or plain files.
            code: modules or packages whose source decides the result.

        Raises:
            UsageError: an input does not exist.
        """
        self.kind, self.out, self.config = kind, out, config
        self.counts: dict[str, Any] = {}
        self.code = code_digest(*code)
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
            return False
        if not is_artifact(self.out):
            if self.out.is_dir() and not any(self.out.iterdir()):
                return False
            raise UsageError(
                f"{self.out} exists and is not an artifact (no {MANIFEST}); choose another --out or remove it"
            )
        present = read_manifest(self.out)
        wanted = {i.role: i.content for i in self.inputs}
        recorded = {i.role: i.content for i in present.inputs}
        if present.fingerprint == self.fingerprint and wanted == recorded:
            return True
        raise DifferentArtifact(
            f"{self.out} exists but was made differently: {self._difference(present)}; "
            "choose another --out, remove it, or run the lab with --fresh"
        )

    def _difference(self, present: Manifest) -> str:
        if present.kind != self.kind:
            return f"it is a {present.kind}, this command makes a {self.kind}"
        wanted = identity(self.config)
        names = [n for n in sorted(wanted.keys() | present.identity.keys()) if wanted.get(n) != present.identity.get(n)]
        if names:
            return ", ".join(f"{n} was {present.identity.get(n)!r} and is now {wanted.get(n)!r}" for n in names)
        if {(i.role, i.content) for i in present.inputs} != {(i.role, i.content) for i in self.inputs}:
            changed = {i.role for i in self.inputs} | {i.role for i in present.inputs}
            return f"its input ({', '.join(sorted(changed))}) had other content"
        return "libertas itself has changed since (other stage code)"

    @contextmanager
    def build(self, *, resume: bool = False) -> Iterator[Path]:
        """Open the partial directory; on leaving, hash, write the manifest, and rename it to `out`.

        Args:
            resume: keep what an interrupted run left in the partial directory, instead of starting clean; without
                it, a failure also removes the partial directory.

        Raises:
            UsageError: another process is building the same artifact.
        """
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        if not resume and self.partial.exists():
            self._refuse_if_locked()
            shutil.rmtree(self.partial)
        self.partial.mkdir(exist_ok=True)
        lock = os.open(self.partial, os.O_RDONLY)
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            self._lock(lock)
            self._claim()
            yield self.partial
            (self.partial / DRAFT).unlink()
            self._publish(started, clock)
        except BaseException:
            if not resume:
                shutil.rmtree(self.partial, ignore_errors=True)
            raise
        finally:
            os.close(lock)

    def _claim(self) -> None:
        """Write down what the partial directory is for, so that only the same work resumes it."""
        claim = self.partial / DRAFT
        if not claim.exists():
            write_json(claim, {"kind": self.kind, "fingerprint": self.fingerprint})
        elif orjson.loads(claim.read_bytes()).get("fingerprint") != self.fingerprint:
            raise DifferentArtifact(
                f"{self.partial} holds an interrupted {self.kind} that was made differently; "
                "remove it, choose another --out, or run the lab with --fresh"
            )

    def _refuse_if_locked(self) -> None:
        probe = os.open(self.partial, os.O_RDONLY)
        try:
            self._lock(probe)
        finally:
            os.close(probe)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.partial} is being written by another process; wait for it or choose another --out"
            ) from None

    def _publish(self, started: datetime, clock: float) -> None:
        files = tuple(_list_files(self.partial))
        manifest = Manifest(
            kind=self.kind,
            fingerprint=self.fingerprint,
            content=Manifest.content_of(self.fingerprint, files),
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
        sync_folder(self.partial)
        if self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()
        os.rename(self.partial, self.out)
        sync_folder(self.out.parent)


def _describe(role: str, path: Path, out: Path) -> Input:
    relative = os.path.relpath(path.absolute(), out.absolute())
    if path.is_dir():
        manifest = read_manifest(path)
        return Input(
            role=role, path=relative, fingerprint=manifest.fingerprint, content=manifest.content, kind=manifest.kind
        )
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected {'an' if role[0] in 'aeiou' else 'a'} {role} to read")
    content = file_digest(path)
    return Input(role=role, path=relative, fingerprint=content, content=content, kind="file")


def _list_files(folder: Path) -> Iterator[File]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        _sync(path)
        yield File(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, hash=file_digest(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make renames inside a directory survive a power cut."""
    _sync(path)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is either absent or whole: temporary name, fsync, rename."""
    temporary = path.with_name(path.name + ".writing")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical JSON."""
    write_durably(path, canonical(value))
