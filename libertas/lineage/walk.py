"""Walking the lineage: from an artifact to everything it was made from, and back to files by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.tree import Tree

from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.artifact import PARTIAL
from libertas.lineage.manifest import MANIFEST, Input, Manifest, read_manifest


@dataclass(frozen=True)
class Node:
    """An artifact or plain file in a lineage."""

    path: Path
    role: str
    manifest: Manifest | None
    """None for a plain file from outside."""
    parents: tuple["Node", ...]


def parent_path(artifact: Path, source: Input) -> Path:
    """Where an input of `artifact` lies."""
    return (artifact / source.path).resolve()


def lineage(path: Path, role: str = "") -> Node:
    """The artifact at `path` with all its ancestors, as a tree.

    Raises:
        UsageError, UnfinishedArtifact, BrokenLineage: a link of the chain is absent, unfinished or changed.
    """
    manifest = read_manifest(path)
    parents = tuple(
        Node(parent_path(path, i), i.role, None, ()) if i.kind == "file" else lineage(parent_path(path, i), i.role)
        for i in manifest.inputs
    )
    return Node(path.resolve(), role, manifest, parents)


def ancestors(node: Node) -> Iterator[Node]:
    """The node and everything above it; a shared ancestor comes once, in first-met order."""
    seen: set[Path] = set()
    queue = [node]
    while queue:
        current = queue.pop(0)
        if current.path not in seen:
            seen.add(current.path)
            yield current
            queue.extend(current.parents)


def input_of(artifact: Path, role: str) -> Path:
    """Where the input of a role lies, if it is still what the artifact was made from.

    Raises:
        UsageError: the artifact has no such input, or it is gone.
        BrokenLineage: another artifact lies there now.
    """
    source = next((i for i in read_manifest(artifact).inputs if i.role == role), None)
    if source is None:
        raise UsageError(f"{artifact} was not made from {role}; name another artifact")
    path = parent_path(artifact, source)
    if read_manifest(path).content != source.content:
        raise BrokenLineage(
            f"{path} was rebuilt with other content since {artifact} was made from it; rebuild {artifact}"
        )
    return path


def find_ancestor(path: Path, kind: str) -> Path | None:
    """The nearest artifact of a kind above `path`, itself included."""
    return next((n.path for n in ancestors(lineage(path)) if n.manifest and n.manifest.kind == kind), None)


def source_files(path: Path) -> dict[str, list[Path]]:
    """Files from which documents were gathered, by name: plain inputs and the files of `archive` artifacts."""
    found: dict[str, list[Path]] = {}
    for node in ancestors(lineage(path)):
        if node.manifest is None:
            found.setdefault(node.path.name, []).append(node.path)
        elif node.manifest.kind == "archive":
            for file in node.manifest.files:
                found.setdefault(Path(file.path).name, []).append(node.path / file.path)
    return found


def artifacts_under(folder: Path) -> list[Path]:
    """Every finished artifact in a folder and below, sorted; what is still being written is left out."""
    return sorted(m.parent for m in folder.rglob(MANIFEST) if _is_ours(m, folder))


def artifacts_near(folder: Path) -> list[Path]:
    """Finished artifacts in a folder, at most three folders deep: neighbours, without walking a whole home folder."""
    found = (m for depth in ("*", "*/*", "*/*/*") for m in folder.glob(f"{depth}/{MANIFEST}"))
    return sorted(m.parent for m in found if _is_ours(m, folder))


def _is_ours(manifest: Path, folder: Path) -> bool:
    """Other programs write a `manifest.json` too; ours has a fingerprint and a seal, one of which may be damaged."""
    if any(part.endswith(PARTIAL) for part in manifest.parent.relative_to(folder).parts):
        return False
    raw = manifest.read_bytes()
    return b'"fingerprint"' in raw or b'"seal"' in raw


def draw(node: Node, base: Path | None = None) -> Tree:
    """The lineage as a tree for the terminal: role, kind, place, fingerprint, main counts."""
    base = base or node.path.parent
    tree = Tree(_label(node, base))
    _grow(tree, node, base, {node.path})
    return tree


def _grow(tree: Tree, node: Node, base: Path, seen: set[Path]) -> None:
    for parent in node.parents:
        repeated = parent.path in seen and parent.parents
        branch = tree.add(_label(parent, base) + ("  [dim](above)[/dim]" if repeated else ""))
        if not repeated:
            seen.add(parent.path)
            _grow(branch, parent, base, seen)


def _label(node: Node, base: Path) -> str:
    place = escape(str(node.path.relative_to(base) if node.path.is_relative_to(base) else node.path))
    if node.manifest is None:
        return f"[dim]file[/dim] {place}"
    fingerprint = f"[dim]{short(node.manifest.fingerprint)}[/dim]"
    return f"[bold]{node.manifest.kind}[/bold] {place}  {fingerprint}  {brief(node.manifest)}"


def short(tagged: str) -> str:
    """A hash short enough to read aloud: its first eight digits."""
    return tagged.removeprefix("b3:")[:8]


SHOWN = {
    "archive": ("pages", "records", "bytes"),
    "corpus": ("documents", "text_bytes", "train_bytes", "copies"),
    "decisions": ("documents",),
    "duplicates": ("documents", "clusters"),
    "overlaps": ("documents", "items"),
    "redactions": ("documents", "spans"),
    "datasheet": ("documents", "bytes"),
    "scorer": ("learned_from", "held_out_bits_per_byte", "held_out_area_under_curve"),
    "tokens": ("train_tokens", "validation_tokens", "vocabulary"),
    "index": ("tokens",),
    "run": ("parameters", "steps", "final_loss"),
    "checkpoint": ("step", "parameters"),
    "export": ("parameters", "train_tokens", "validation_tokens"),
    "result": ("items", "held_out_bytes"),
    "generation": ("tokens", "step"),
    "trace": ("spans", "places", "verified"),
    "report": ("spans", "bytes"),
}
"""Counts that tell most about an artifact of each kind."""


def brief(manifest: Manifest) -> str:
    """The counts of a manifest that fit on one line."""
    counts = dict(manifest.counts)
    if isinstance(counts.get("documents"), dict):
        counts["documents"] = counts["documents"]["out"]
    shown = [key for key in SHOWN.get(manifest.kind, ()) if isinstance(counts.get(key), int | float)]
    return ", ".join(f"{key.replace('_', ' ')} {_number(counts[key])}" for key in shown)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
