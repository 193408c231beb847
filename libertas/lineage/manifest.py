"""The manifest: what an artifact is, what it was made from, and the hash of every byte in it.

`manifest.json` is written last, so a directory that has one is finished. Three hashes sit in it:

- `fingerprint` says *what was asked for*: kind, config, fingerprints of inputs, stage code. It is known before the
  work starts, so work with the same fingerprint is reused.
- `content` says *what came out*: the files and the fingerprint. Downstream manifests record it, so a rebuilt input
  with other bytes is noticed.
- `seal` covers the manifest itself, so a change of the record is noticed as well.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from libertas.errors import BrokenLineage, UnfinishedArtifact, UsageError
from libertas.lineage.fingerprint import canonical, digest, file_digest

MANIFEST = "manifest.json"
PACKAGES = (
    "fastwarc",
    "numpy",
    "pyarrow",
    "pydivsufsort",
    "resiliparse",
    "safetensors",
    "scikit-learn",
    "tokenizers",
    "torch",
    "zstandard",
)
"""Libraries whose version may change what comes out."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """Something an artifact was made from: another artifact, or a plain file from outside."""

    role: str
    path: str
    """Relative to the artifact's directory, so that a whole tree can be moved."""
    fingerprint: str
    content: str
    kind: str
    """The artifact's kind, or `file`."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of an artifact: path relative to its directory, size in bytes, tagged hash."""

    path: str
    bytes: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The record an artifact carries of itself."""

    kind: str
    fingerprint: str
    content: str
    config: dict[str, Any]
    identity: dict[str, Any]
    inputs: tuple[Input, ...]
    files: tuple[File, ...]
    counts: dict[str, Any]
    code: str
    version: str
    command: tuple[str, ...]
    host: dict[str, Any]
    started: str
    finished: str
    seconds: float
    peak_memory_bytes: int
    format: int = field(default=1)

    @staticmethod
    def content_of(fingerprint: str, files: tuple[File, ...]) -> str:
        """The hash of what came out: the fingerprint and those files that do not hold clocks."""
        return digest(canonical([fingerprint, [asdict(f) for f in files]]))

    def to_bytes(self) -> bytes:
        """Canonical JSON with the seal over everything else."""
        record = asdict(self)
        record["seal"] = digest(canonical(record))
        return canonical(record)


def fingerprint(kind: str, identity: dict[str, Any], inputs: tuple[Input, ...], code: str) -> str:
    """What was asked for, as one hash; roles and input fingerprints count, paths do not."""
    return digest(canonical([kind, identity, [(i.role, i.fingerprint) for i in inputs], code]))


NAMES = {
    "decisions": "a set of decisions",
    "duplicates": "a set of duplicates",
    "overlaps": "a set of overlaps",
    "redactions": "a set of redactions",
    "tokens": "a token store",
    "source": "a generation, a result or a run",
}
"""Kinds and roles whose name alone makes no sentence."""


def named(kind: str) -> str:
    """A kind of artifact, or a role of an input, as a sentence has it: `a corpus`, `an index`, `a token store`."""
    return NAMES.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}")


def recorded_settings(manifest: Manifest, config: type[Any]) -> dict[str, Any]:
    """What a manifest has of the settings in a config's fields, with tuples for lists; paths are as they were typed."""
    known = {one.name for one in fields(config)}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in manifest.config.items() if k in known}


def is_artifact(path: Path) -> bool:
    """Whether a directory holds a manifest."""
    return (path / MANIFEST).is_file()


def read_manifest(path: Path) -> Manifest:
    """The manifest of the artifact at `path`.

    Raises:
        UsageError: nothing is there.
        UnfinishedArtifact: a directory without a manifest.
        BrokenLineage: the manifest was changed after it was written.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected the directory of an artifact")
    if path.is_file():
        raise UsageError(f"{path} is a file; expected the directory of an artifact that `libertas` made")
    if not is_artifact(path):
        raise UnfinishedArtifact(
            f"{path} has no {MANIFEST}, so it is not a finished artifact; run the command that makes it again"
        )
    return parse_manifest((path / MANIFEST).read_bytes(), path)


def damaged_files(
    folder: Path, manifest: Manifest, digest_of: Callable[[Path], str] = file_digest
) -> Iterator[tuple[Path, str]]:
    """Files of an artifact that are gone or not the recorded bytes, and what is wrong with each."""
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            yield path, "the file is gone"
        elif (size := path.stat().st_size) != file.bytes:
            yield path, f"{size:,} bytes, expected {file.bytes:,}"
        elif digest_of(path) != file.hash:
            yield path, f"content differs from {file.hash[:15]}…"


def read_manifest_of(path: Path, kind: str, expected: str) -> Manifest:
    """The manifest of the artifact at `path`, which must be of a kind; `expected` says in an error how one is made.

    Raises:
        UsageError: it is of another kind.
    """
    manifest = read_manifest(path)
    if manifest.kind != kind:
        raise UsageError(f"{path} is {named(manifest.kind)}; expected {expected}")
    return manifest


def require_sound(folder: Path, manifest: Manifest) -> None:
    """Refuse an artifact of which a byte has changed.

    Raises:
        BrokenLineage: names the first damaged file.
    """
    for path, what in damaged_files(folder, manifest):
        raise BrokenLineage(f"{path}: {what}; run `libertas verify {folder}`, then restore or rebuild it")


def parse_manifest(raw: bytes, path: Path) -> Manifest:
    """Read a manifest's bytes and check its seal; `path` is only named in errors."""
    broken = BrokenLineage(f"{path / MANIFEST} was changed after it was written; restore it or rebuild {path}")
    try:
        record = orjson.loads(raw)
        seal = record.pop("seal")
        if digest(canonical(record)) != seal or canonical({**record, "seal": seal}) != raw:
            raise broken
        inputs = tuple(Input(**i) for i in record.pop("inputs"))
        files = tuple(File(**f) for f in record.pop("files"))
        command = tuple(record.pop("command"))
        return Manifest(**record, inputs=inputs, files=files, command=command)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise broken from error


def host_facts() -> dict[str, Any]:
    """What may change a number or a duration: platform, Python, cores, and *names* of the relevant environment."""
    relevant = ("OMP_", "MKL_", "CUDA_", "TORCH_", "PYTORCH_", "LIBERTAS_", "PYTHONHASHSEED")
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: version(name) for name in PACKAGES if _installed(name)},
        "environment": sorted(name for name in os.environ if name.startswith(relevant)),
    }


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def command_line() -> tuple[str, ...]:
    """The words that started this process: the program without its folder, the home folder as `~`."""
    home = str(Path.home())
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return tuple("~" + w[len(home) :] if len(home) > 1 and w.startswith(home + os.sep) else w for w in words)
