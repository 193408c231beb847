"""The life of a run: everything that the lineage says of it, from the archives to the last step, as plain numbers."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from libertas.errors import UsageError
from libertas.evaluate.result import RESULTS
from libertas.lineage.manifest import Manifest, read_manifest
from libertas.lineage.walk import Node, ancestors, lineage
from libertas.tokenize.store import TokenStore
from libertas.trace.trace import TRACE
from libertas.train.journal import METRICS, read_metrics


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the mixture."""

    name: str
    weight: float
    documents: int
    """Distinct training documents."""
    copies: int
    """Documents that training holds once more, because of a weight above 1."""
    held_out: int
    bytes: int
    """UTF-8 bytes of training text, copies included."""
    tokens: int
    """Training tokens, copies included."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One stage that documents pass through, or do not."""

    title: str
    unit: str
    """What comes in."""
    entered: int
    left: int
    """How many leave it for the next stage."""
    dropped: tuple[tuple[str, int], ...]
    """Reasons and how many they kept back, most frequent first."""


@dataclass(frozen=True)
class Life:
    """A run and what it came from."""

    run: Node
    manifest: Manifest
    metrics: list[dict[str, Any]]
    """Rows of `metrics.jsonl` whose loss is a number; it is none once a training has diverged."""
    checkpoints: list[int]
    """Steps whose weights are kept."""
    tokens: Manifest
    mix: Manifest
    archives: int
    """Archives and plain WARC files at the root."""
    components: list[Component]
    languages: list[tuple[str, int]]
    """Documents per detected language as gathered, most frequent first."""
    passages: list[Passage]
    result: Node | None
    scores: dict[str, Any] | None
    """The `libertas` part of `results.json`."""
    trace: Node | None
    traced: dict[str, Any] | None
    """Content of `trace.json`."""

    def artifacts(self) -> dict[Path, Manifest]:
        """Every artifact that the page tells of, each once."""
        roots = [n for n in (self.run, self.result, self.trace) if n is not None]
        return {n.path: n.manifest for root in roots for n in ancestors(root) if n.manifest}

    @property
    def held_out_bits(self) -> float | None:
        """Bits per byte on everything held out, or on the sample that training measures if nothing was evaluated."""
        if self.scores and self.scores["bits_per_byte"]:
            return float(self.scores["bits_per_byte"][-1]["model"]["mean"])
        measured = [r for r in self.metrics if r.get("validation_bits_per_byte") is not None]
        return float(measured[-1]["validation_bits_per_byte"]) if measured else None


def live(run: Path, result: Path | None, trace: Path | None) -> Life:
    """Gather the life of `run`.

    Raises:
        UsageError: one of the artifacts is of another kind, or result or trace is of another run.
        BrokenLineage: a link of the chain was changed.
    """
    origin = _of_kind(run, "run", "train")
    scored = _of_kind(result, "result", "evaluate", of=run) if result else None
    traced = _of_kind(trace, "trace", "trace", of=run) if trace else None
    tokens = _parent(origin, "tokens")
    mix = _parent(tokens, "corpus")
    gathered = [p for p in mix.parents if p.role == "corpus"]
    sidecars = [p for p in mix.parents if p.role == "decisions"]
    manifest = _manifest(origin)
    return Life(
        run=origin,
        manifest=manifest,
        metrics=read_metrics(run / METRICS),
        checkpoints=sorted(int(p.name.removeprefix("step-")) for p in (run / "checkpoints").iterdir()),
        tokens=_manifest(tokens),
        mix=_manifest(mix),
        archives=sum(not n.parents for n in ancestors(mix)),
        components=_components(tokens.path, _manifest(mix)),
        languages=_languages(gathered),
        passages=_passages(gathered, sidecars, _manifest(mix)),
        result=scored,
        scores=orjson.loads((scored.path / RESULTS).read_bytes())["libertas"] if scored else None,
        trace=traced,
        traced=orjson.loads((traced.path / TRACE).read_bytes()) if traced else None,
    )


def _of_kind(path: Path, kind: str, command: str, of: Path | None = None) -> Node:
    found = read_manifest(path).kind
    if found != kind:
        raise UsageError(f"{path} is an artifact of kind {found}; expected a {kind} made by `libertas {command}`")
    node = lineage(path, kind)
    if of is not None:
        home = of.resolve()
        if not any(n.path == home or home in n.path.parents for n in ancestors(node)):
            raise UsageError(f"{path} does not come from {of}; expected a {kind} of that run: make it, or leave it out")
    return node


def _manifest(node: Node) -> Manifest:
    assert node.manifest is not None, f"{node.path} is a plain file, where an artifact was expected"
    return node.manifest


def _parent(node: Node, role: str) -> Node:
    return next(p for p in node.parents if p.role == role)


def _components(tokens: Path, mix: Manifest) -> list[Component]:
    store = TokenStore.open(tokens)
    lengths = np.diff(np.asarray(store.offsets).astype(np.int64))
    counted = np.bincount(store.components, weights=lengths, minlength=len(store.component_names)).astype(np.int64)
    assert counted.sum() == len(store), "components hold another number of tokens than the store"
    tokens_of = dict(zip(store.component_names, counted.tolist(), strict=True))
    found = [
        Component(
            name=name,
            weight=float(row["weight"]),
            documents=row["documents"],
            copies=row["copies"],
            held_out=row["validation_documents"],
            bytes=row["bytes"],
            tokens=tokens_of.get(name, 0),
        )
        for name, row in mix.counts["components"].items()
    ]
    return sorted(found, key=lambda c: (-c.bytes, c.name))


def _languages(gathered: list[Node]) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for node in gathered:
        found.update(_manifest(node).counts["languages"])
    return _most_frequent(found)


TITLES = {
    "decisions": "Curation",
    "duplicates": "Deduplication",
    "overlaps": "Decontamination",
    "redactions": "Redaction",
}
"""Kinds of side-cars, and what the passage through their verdicts is called."""
DUPLICATE = "a kept document"
"""Part of every reason that `mix` gives for leaving a duplicate out."""


def _passages(gathered: list[Node], sidecars: list[Node], mix: Manifest) -> list[Passage]:
    """The stages in order; what leaves one enters the next, and in = out + dropped for each.

    A document that several side-cars speak against was kept back by the first.
    """
    records: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for node in gathered:
        counts = _manifest(node).counts
        records.update(counts["documents"])
        reasons.update(counts["dropped"])
    found = [Passage("Extraction", "records", records["in"], records["out"], tuple(_most_frequent(reasons)))]
    left = Counter(mix.counts["dropped"])
    for node in sidecars:
        manifest = _manifest(node)
        said = Counter({reason: n for reason, n in left.items() if _is_from(manifest, reason)})
        left -= said
        entered = found[-1].left
        title = TITLES[manifest.kind]
        found.append(Passage(title, "documents", entered, entered - said.total(), tuple(_most_frequent(said))))
    mixed = mix.counts["documents"]
    found.append(Passage("Mixture", "documents", found[-1].left, mixed["out"], tuple(_most_frequent(left))))
    for before, passage in pairwise([found[0], *found]):
        kept_back = sum(n for _, n in passage.dropped)
        assert passage.entered == passage.left + kept_back, (
            f"{passage.title}: a document vanished between the manifests"
        )
        assert passage is before or passage.entered == before.left, f"{passage.title} read other documents"
    return found


def _is_from(sidecar: Manifest, reason: str) -> bool:
    if sidecar.kind == "duplicates":
        return DUPLICATE in reason
    return reason in sidecar.counts.get("dropped", {})


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
