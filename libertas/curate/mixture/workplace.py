"""A folder beside a mixture for all that is only needed until it is made: what was read, and notes on what is written.

What was read does not depend on weights, so it outlives a look at the plan and is used again, for other weights too.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from libertas.errors import UsageError
from libertas.lineage.artifact import write_json

SUFFIX = ".work"
"""What the folder's name adds to that of the mixture."""
MARK = "mixing.json"
"""What only a folder of ours has: whether its subfolders are about what is to be made."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where things lie while a mixture is made."""

    reading: Path
    """What was read of the documents."""
    notes: Path
    """The order of the mixture, and which of its shards are written."""


@contextmanager
def workplace(out: Path, **keys: str) -> Iterator[Workplace]:
    """Open the folder beside `out`; what lies in its subfolders `reading` and `notes` stays if the key is the same.

    Args:
        out: where the mixture goes.
        keys: what each subfolder that is to be used depends on; one without a key is left as it is.

    Raises:
        UsageError: the name is taken, or another process mixes there.
    """
    folder = work_folder(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is a file; expected the name to be free for the work on {out}; choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        _lock(lock, folder)
        said = _marked(folder)
        place = Workplace(folder.absolute() / "reading", folder.absolute() / "notes")
        for name, key in keys.items():
            if said.get(name) != key:
                shutil.rmtree(folder / name, ignore_errors=True)
        write_json(folder / MARK, said | keys)
        place.reading.mkdir(exist_ok=True)
        place.notes.mkdir(exist_ok=True)
        yield place
    finally:
        os.close(lock)


def work_folder(out: Path) -> Path:
    """Where the work on a mixture lies."""
    return out.with_name(out.name + SUFFIX)


def remove_work(out: Path) -> None:
    """Remove the folder beside a mixture, if it is ours."""
    if (work_folder(out) / MARK).is_file():
        shutil.rmtree(work_folder(out))


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{folder} is in use by another process; wait for it or choose another --out") from None


def _marked(folder: Path) -> dict[str, str]:
    """The keys under which a folder was made; none for a new one.

    Raises:
        UsageError: the folder is not ours.
    """
    try:
        said: Any = orjson.loads((folder / MARK).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        said = {}
    except OSError as error:
        raise UsageError(f"{folder / MARK}: {error.strerror}; expected a file of ours; choose another --out") from error
    if not isinstance(said, dict):
        raise UsageError(f"{folder / MARK} is not ours; expected the name {folder} to be free; choose another --out")
    if not said and any(p.name not in (MARK, "reading", "notes") for p in folder.iterdir()):
        raise UsageError(f"{folder} has files of others; expected the name to be free; choose another --out")
    return {str(name): key for name, key in said.items()}
