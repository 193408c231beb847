"""Re-hash every hop: which files changed, and which artifacts can no longer be trusted because of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from libertas.errors import LibertasError, UsageError
from libertas.lineage.artifact import DRAFT
from libertas.lineage.fingerprint import file_digest
from libertas.lineage.manifest import MANIFEST, Manifest, damaged_files, is_artifact, read_manifest
from libertas.lineage.walk import artifacts_near, artifacts_under, parent_path
from libertas.terminal import progress


@dataclass(frozen=True)
class Damage:
    """One file that is not what its artifact recorded."""

    file: Path
    artifact: Path
    """The innermost artifact that holds the file, or the artifact that read it if it is a plain file."""
    what: str


@dataclass
class Verification:
    """The outcome of `verify`."""

    artifacts: int = 0
    files: int = 0
    bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    downstream: dict[Path, list[Path]] = field(default_factory=dict)
    """Damaged file -> every artifact made from it, directly or not, without the one it belongs to."""

    @property
    def sound(self) -> bool:
        """Whether every byte is the recorded one."""
        return not self.damages


def verify(path: Path) -> Verification:
    """Check an artifact and all its ancestors, or every artifact below a folder.

    Every file is hashed, every manifest's seal checked, every input compared with what was recorded when it was
    read. Artifacts beside the ones checked are searched as well, so that everything downstream of a damage is named.

    Raises:
        UsageError: there is no artifact at or below `path`.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected an artifact or a folder of artifacts")
    start = [path.resolve()] if is_artifact(path) else [p.resolve() for p in artifacts_under(path)]
    if not start:
        raise UsageError(f"{path} holds no artifact (no {MANIFEST} in it or below); name one that `libertas` made")
    outcome = Verification()
    made_from: dict[Path, list[Path]] = {}
    digest_of = cache(file_digest)  # a run holds the files of its checkpoints: each is hashed once
    queue, seen = list(start), set(start)
    with progress("verifying") as bar:
        while queue:
            artifact = queue.pop(0)
            outcome.artifacts += 1
            for parent in _check(artifact, outcome, made_from, digest_of):
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
            bar.advance(1, f"{outcome.files:,} files")
    if outcome.damages:
        _trace_downstream(outcome, made_from, {p.parent for p in seen})
    return outcome


def _check(
    artifact: Path, outcome: Verification, made_from: dict[Path, list[Path]], digest_of: Callable[[Path], str]
) -> list[Path]:
    """Compare one artifact with its manifest; returns the artifacts it was made from."""
    try:
        manifest = read_manifest(artifact)
    except LibertasError as error:
        outcome.damages.append(Damage(artifact / MANIFEST, artifact, str(error)))
        return []
    _check_files(artifact, manifest, outcome, digest_of)
    parents = []
    for source in manifest.inputs:
        parent = parent_path(artifact, source)
        if source.kind == "file":
            outcome.files += 1
            what = _plain_file_damage(parent, source.content, digest_of)
            if what:
                outcome.damages.append(Damage(parent, artifact, what))
            continue
        made_from.setdefault(artifact, []).append(parent)
        if not parent.exists():
            outcome.damages.append(Damage(parent, artifact, "the input is gone"))
            continue
        parents.append(parent)
        if is_artifact(parent) and _content(parent) not in (source.content, None):
            outcome.damages.append(Damage(parent / MANIFEST, artifact, "the input was rebuilt with other content"))
    return parents


def _content(artifact: Path) -> str | None:
    try:
        return read_manifest(artifact).content
    except LibertasError:
        return None  # reported when the artifact itself is checked


def _check_files(artifact: Path, manifest: Manifest, outcome: Verification, digest_of: Callable[[Path], str]) -> None:
    present = {p.relative_to(artifact).as_posix() for p in artifact.rglob("*") if p.is_file()} - {MANIFEST, DRAFT}
    for name in sorted(present - {f.path for f in manifest.files}):
        outcome.damages.append(Damage(artifact / name, artifact, "the file is not in the manifest"))
    outcome.files += len(manifest.files)
    outcome.bytes += sum(f.bytes for f in manifest.files)
    outcome.damages += [Damage(path, artifact, what) for path, what in damaged_files(artifact, manifest, digest_of)]


def _plain_file_damage(path: Path, content: str, digest_of: Callable[[Path], str]) -> str | None:
    if not path.is_file():
        return "the file is gone"
    return None if digest_of(path) == content else f"content differs from {content[:15]}…"


def _trace_downstream(outcome: Verification, made_from: dict[Path, list[Path]], neighbours: set[Path]) -> None:
    """Fill `outcome.downstream`, also from artifacts that lie beside the ones that were checked."""
    known = set(made_from) | {d.artifact for d in outcome.damages}
    for folder in neighbours:
        for artifact in artifacts_near(folder):
            if artifact not in known:
                known.add(artifact)
                try:
                    manifest = read_manifest(artifact)
                except LibertasError:
                    continue
                made_from[artifact] = [parent_path(artifact, i) for i in manifest.inputs]
    children: dict[Path, set[Path]] = {}
    for artifact, parents in made_from.items():
        for parent in parents:
            children.setdefault(parent, set()).add(artifact)
    for artifact in known:  # a checkpoint inside a run: the run holds its files
        children.setdefault(artifact, set()).update(known.intersection(artifact.parents))
    for damage in outcome.damages:
        outside = not damage.file.is_relative_to(damage.artifact)  # an input: its reader is downstream of it, too
        reached: set[Path] = {damage.artifact} if outside else set()
        queue = [damage.artifact]
        while queue:
            for child in children.get(queue.pop(), ()):
                if child not in reached:
                    reached.add(child)
                    queue.append(child)
        outcome.downstream[damage.file] = sorted(reached.union(outcome.downstream.get(damage.file, ())))
