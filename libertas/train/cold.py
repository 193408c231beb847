"""Permanent checkpoints go to a second place while training goes on: another folder, or an address such as s3://….

A copy is as whole as its original: it has another name (in a folder) or no manifest (behind an address) until every
file has been read back and hashed. What fails is tried again, ever less often.
"""

import os
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from blake3 import blake3
from rich.markup import escape

from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.artifact import PARTIAL, sync_path
from libertas.lineage.fingerprint import HASH_PREFIX
from libertas.lineage.manifest import MANIFEST, parse_manifest, read_manifest
from libertas.terminal import progress, say
from libertas.train.checkpoint import TOKENIZER, require_whole, saved_under, step_of
from libertas.train.tiers import CHECKPOINTS

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before the second attempt, which then double, and the most."""
LAST_ATTEMPTS = 3
"""For what is left when training ends."""
PIECE = 1 << 24
"""Bytes that are sent at once."""


class Target(Protocol):
    """A place for copies."""

    def read(self, name: str) -> bytes | None:
        """A small file, if it is there."""

    def copy(self, source: Path) -> None:
        """Copy and verify a checkpoint, or a plain file.

        Raises:
            OSError: the place cannot be written.
            LibertasError: what was read back is not what was sent.
        """


class FolderTarget:
    """Copies in a folder, on another disk."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """A file in the folder."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def copy(self, source: Path) -> None:
        """Copy under another name, sync, read back, rename."""
        temporary = self.folder / (source.name + PARTIAL)
        if source.is_file():
            shutil.copyfile(source, temporary)
        else:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(source, temporary)
            for path in temporary.rglob("*"):
                sync_path(path)
            require_whole(temporary)
        sync_path(temporary)
        os.rename(temporary, self.folder / source.name)
        sync_path(self.folder)


class AddressTarget:
    """Copies behind an address, by fsspec: the manifest goes last, since there is no renaming of folders."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            UsageError: fsspec, or what it needs for this kind of address, is not installed, or the address is wrong.
        """
        try:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]

            self.files, self.root = url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"archive is {address}: {error}; expected a folder, or an address for which fsspec and its package "
                "are installed (`pip install fsspec s3fs`)"
            ) from error

    def read(self, name: str) -> bytes | None:
        """A file below the address."""
        place = f"{self.root}/{name}"
        return bytes(self.files.cat_file(place)) if self.files.isfile(place) else None

    def copy(self, source: Path) -> None:
        """Send every file and read it back, the manifest last."""
        if source.is_file():
            self._send(source, f"{self.root}/{source.name}", None)
            return
        place = f"{self.root}/{source.name}"
        for file in require_whole(source).files:
            self._send(source / file.path, f"{place}/{file.path}", file.hash)
        self._send(source / MANIFEST, f"{place}/{MANIFEST}", None)
        with self.files.open(f"{place}/{MANIFEST}", "rb") as sent:
            parse_manifest(sent.read(), Path(place))

    def _send(self, source: Path, place: str, expected: str | None) -> None:
        self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
        with source.open("rb") as read, self.files.open(place, "wb") as write:
            shutil.copyfileobj(read, write, PIECE)
        hasher = blake3()
        with self.files.open(place, "rb") as sent:
            while piece := sent.read(PIECE):
                hasher.update(piece)
        if expected is not None and HASH_PREFIX + hasher.hexdigest() != expected:
            raise BrokenLineage(f"{place} is not what was sent; expected {expected[:15]}…")


def open_target(archive: str) -> Target:
    """The place that the setting `archive` names."""
    return AddressTarget(archive) if "://" in archive else FolderTarget(Path(archive))


class ColdCopies:
    """Copies checkpoints in the background, the oldest first, and never gives up while training lasts."""

    def __init__(self, checkpoints: Path, target: Target, tokenizer: Path) -> None:
        """Start the thread; the `tokenizer` is copied first, so that archived checkpoints can be used alone."""
        self.checkpoints, self.target, self.tokenizer = checkpoints, target, tokenizer
        self.copied: set[int] = set()
        self._events: list[str] = []
        self._attempts = LAST_ATTEMPTS
        self._new, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="archive", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a new checkpoint."""
        self._new.set()

    def events(self) -> list[str]:
        """What a person should know since the last call."""
        found: list[str] = []
        while self._events:
            found.append(self._events.pop(0))
        return found

    def finish(self, attempts: int = LAST_ATTEMPTS) -> list[str]:
        """Copy what is left, with a few attempts (0: only to the end of the present one); what a person should know."""
        self._attempts = attempts
        self._ending.set()
        self._new.set()
        self._thread.join()
        return self.events()

    def _holds(self, source: Path) -> bool:
        """Whether the verified copy is there; a copy has a manifest only when it is whole."""
        raw = self.target.read(f"{source.name}/{MANIFEST}")
        if raw is None:
            return False
        if parse_manifest(raw, Path(source.name)).content != read_manifest(source).content:
            raise UsageError(f"the archive holds {source.name} of another run; choose another archive")
        return True

    def _left(self) -> list[Path]:
        return [p for p in saved_under(self.checkpoints) if step_of(p) not in self.copied]

    def _work(self) -> None:
        failures, tried = 0, 0
        while not (self._ending.is_set() and tried >= self._attempts):
            self._new.clear()
            ending = self._ending.is_set()
            tried += ending
            error = self._copy_all(self._left())
            if error is None and ending:
                return
            failures = 0 if error is None else failures + 1
            if failures == 1 or (failures and tried == self._attempts):
                self._events.append(f"checkpoints are not copied to the archive: {' '.join(str(error).split())}")
            self._pause(failures)

    def _pause(self, failures: int) -> None:
        """Until there is something to copy; after a failure, until it is time to try again, sooner at the end."""
        if not failures:
            self._new.wait()
        elif self._ending.is_set():
            time.sleep(FIRST_WAIT)
        else:
            self._ending.wait(min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT))

    def _copy_all(self, sources: Iterable[Path]) -> Exception | None:
        """Copy until something fails; what failed."""
        try:
            if self.target.read(TOKENIZER) is None:
                self.target.copy(self.tokenizer)
            for source in sources:
                if not self._holds(source):
                    self.target.copy(source)
                self.copied.add(step_of(source))
        except Exception as error:  # libraries behind fsspec raise errors of their own
            return error
        return None


def copy_rest(run: Path, archive: str, tokenizer: Path) -> None:
    """Copy what an archive lacks of a finished run."""
    with progress("copying checkpoints"):
        for event in ColdCopies(run / CHECKPOINTS, open_target(archive), tokenizer).finish():
            say(f"[yellow]{escape(event)}[/yellow]; the same command copies what is left")
