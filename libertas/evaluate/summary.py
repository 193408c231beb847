"""Records -> scores: every number with its standard error, its baselines, and its value on clean records alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from libertas.evaluate.answer import Choice
from libertas.evaluate.overlap import Overlap
from libertas.evaluate.reading import DEFAULT_READINGS, Reading
from libertas.evaluate.statistics import (
    Estimate,
    clustered_mean,
    clustered_share,
    detectable_over,
    ratio,
    weighted_ratio,
)
from libertas.evaluate.tasks.bits_per_byte import Stretch

ALL = "all"
"""Name of the row over all components."""

NATS_PER_BIT = float(np.log(2))


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One held-out document under every comparator."""

    document: str
    component: str
    url: str
    site: str
    """Its host: documents of one are not independent."""
    bytes: int
    """UTF-8 bytes of its text."""
    tokens: int
    log_probability: float
    """Of the model, natural logarithm, summed over the tokens."""
    harness_log_probability: float
    """The same in lm-eval's windows."""
    ngram_log_probability: float
    zstd_bytes: int
    zstd_primed_bytes: int
    xz_bytes: int
    stretches: tuple[Stretch, ...]
    """Its tokens by how much the model had read before them."""
    overlap: Overlap | None
    """None when contamination was not measured."""


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """What training read of a component, repeats included."""

    tokens: int
    bytes: int


COMPARED: dict[str, Callable[[DocumentRecord], float]] = {
    "model": lambda r: -r.log_probability / NATS_PER_BIT,
    "ngram": lambda r: -r.ngram_log_probability / NATS_PER_BIT,
    "zstd": lambda r: 8.0 * r.zstd_bytes,
    "zstd_primed": lambda r: 8.0 * r.zstd_primed_bytes,
    "xz": lambda r: 8.0 * r.xz_bytes,
}
"""What writes a document down, and the bits it takes."""


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One item under one protocol, and what its passage and right answer share with training."""

    choice: Choice
    overlap: Overlap | None


Record = TypeVar("Record", DocumentRecord, AnswerRecord)


def bits_per_byte(
    records: Sequence[DocumentRecord], training: Mapping[str, TrainingPart] | None = None
) -> list[dict[str, Any]]:
    """A row per component, in order of name, and one over all documents if there are several components.

    Args:
        records: of held-out documents.
        training: what was trained on, by component: for the Pile paper's number, and for the mean in its proportions.
    """
    parts = training or {}
    names = sorted({r.component for r in records})
    rows = [_bits_row(name, [r for r in records if r.component == name], parts) for name in names]
    return [*rows, _bits_row(ALL, records, parts)] if len(names) > 1 else rows


def _bits_row(name: str, records: Sequence[DocumentRecord], training: Mapping[str, TrainingPart]) -> dict[str, Any]:
    clean, contaminated = _split(records)
    written = [r for r in records if r.bytes]
    size, tokens = sum(r.bytes for r in records), sum(r.tokens for r in records)
    return {
        "component": name,
        "documents": len(records),
        "sites": len({r.site for r in records}),
        "bytes": size,
        "tokens": tokens,
        "tokens_per_byte": tokens / size if size else None,
        "nats_per_token": _json(
            ratio([-r.log_probability for r in records], [r.tokens for r in records], _sites(records))
        ),
        **{what: _json(_bits(bits, records)) for what, bits in COMPARED.items()},
        "macro": {
            what: _json(clustered_mean([bits(r) / r.bytes for r in written], _sites(written)))
            for what, bits in COMPARED.items()
        },
        "by_mixture": _by_mixture(records, training) if name == ALL else None,
        "lm_eval": _json(_bits(lambda r: -r.harness_log_probability / NATS_PER_BIT, records)),
        "pile": _json(_pile_bits(records, training)),
        "positions": _positions(records),
        "contaminated_share": _share(records, contaminated),
        "clean": _json(_bits(COMPARED["model"], clean)) if clean is not None else None,
        "contaminated": _json(_bits(COMPARED["model"], contaminated)) if contaminated is not None else None,
    }


def _sites(records: Sequence[DocumentRecord], within: bool = False) -> list[str]:
    """Clusters of documents: their sites; where all are of one, each document, and the error is that for this site.

    `within`: where all documents of a component are of one site, for sums over components.
    """
    found: dict[str, set[str]] = {}
    for r in records:
        found.setdefault(r.component if within else ALL, set()).add(r.site)
    several = {name for name, sites in found.items() if len(sites) > 1}
    return [r.site if (r.component if within else ALL) in several else r.document for r in records]


def _bits(bits: Callable[[DocumentRecord], float], records: Sequence[DocumentRecord]) -> Estimate | None:
    return ratio([bits(r) for r in records], [r.bytes for r in records], _sites(records))


def _by_mixture(records: Sequence[DocumentRecord], training: Mapping[str, TrainingPart]) -> dict[str, Any] | None:
    """Bits per byte of a text that is mixed as the training text was, in bytes; None where that is not known."""
    size = {r.component: float(training[r.component].bytes) for r in records if r.component in training}
    if not size:
        return None
    strata, sites = [r.component for r in records], _sites(records, within=True)
    of_bytes = [r.bytes for r in records]
    return {
        "weights": {name: share / sum(size.values()) for name, share in sorted(size.items())},
        **{
            what: _json(weighted_ratio([bits(r) for r in records], of_bytes, strata, size, sites))
            for what, bits in COMPARED.items()
        },
    }


def _pile_bits(records: Sequence[DocumentRecord], training: Mapping[str, TrainingPart]) -> Estimate | None:
    """The Pile paper's: tokens per byte of all training text of the component, times bits per token of the records."""
    known = [r for r in records if r.component in training]
    bits = [COMPARED["model"](r) * training[r.component].tokens / training[r.component].bytes for r in known]
    size = {r.component: float(training[r.component].bytes) for r in known}
    return weighted_ratio(
        bits, [r.tokens for r in known], [r.component for r in known], size, _sites(known, within=True)
    )


def _positions(records: Sequence[DocumentRecord]) -> list[dict[str, Any]]:
    """A row for each power of two of tokens that the model had read before the one it predicted."""
    rows = []
    for start in sorted({stretch.start for r in records for stretch in r.stretches}):
        found = [(r, stretch) for r in records for stretch in r.stretches if stretch.start == start]
        bits = [-stretch.log_probability / NATS_PER_BIT for _, stretch in found]
        sites = _sites([r for r, _ in found])
        rows.append(
            {
                "after": start,
                "documents": len(found),
                "tokens": sum(stretch.tokens for _, stretch in found),
                "bytes": sum(stretch.bytes for _, stretch in found),
                "bits_per_token": _json(ratio(bits, [stretch.tokens for _, stretch in found], sites)),
                "bits_per_byte": _json(ratio(bits, [stretch.bytes for _, stretch in found], sites)),
            }
        )
    return rows


def accuracies(records: Sequence[AnswerRecord], readings: Sequence[Reading] = DEFAULT_READINGS) -> list[dict[str, Any]]:
    """A row per reading over all items, with a part per component."""
    rows = []
    for reading in readings:
        own = [r for r in records if r.choice.reading == reading.name]
        if own:
            components = sorted({_component(r) for r in own})
            parts = {name: _accuracy_row([r for r in own if _component(r) == name]) for name in components}
            rows.append(
                {
                    "protocol": reading.name,
                    "fingerprint": reading.fingerprint,
                    **_accuracy_row(own),
                    "macro": _json(_macro(own)) if len(components) > 1 else None,
                    "components": parts,
                }
            )
    return rows


def _component(record: AnswerRecord) -> str:
    meta = record.choice.item.meta
    return str(meta.get("component", meta.get("subject", ALL)))


def _accuracy_row(records: Sequence[AnswerRecord]) -> dict[str, Any]:
    clean, contaminated = _split(records)
    choices = [r.choice for r in records]
    golds = np.bincount([c.item.gold for c in choices])
    chance = float(np.mean([1 / len(c.item.choices) for c in choices]))
    accuracy = _accuracy(records)
    assert accuracy is not None, "a row without an item"
    blind = [r for r in records if r.choice.answer_only >= 0]
    alone = clustered_share([r.choice.answer_only == r.choice.item.gold for r in blind], _item_groups(blind))
    return {
        "accuracy": accuracy.to_json(),
        "chance": chance,
        "against_chance": _against(chance, accuracy),
        "detectable": detectable_over(chance, accuracy),
        "majority": float(golds.max() / len(choices)),
        "answer_only": alone.mean if alone else None,
        "answer_only_stderr": alone.stderr if alone else None,
        "truncated": sum(c.truncated for c in choices),
        "token_spans_join": sum(c.spanned for c in choices),
        "contaminated_share": _share(records, contaminated),
        "clean": _json(_accuracy(clean)) if clean is not None else None,
        "contaminated": _json(_accuracy(contaminated)) if contaminated is not None else None,
    }


def _accuracy(records: Sequence[AnswerRecord]) -> Estimate | None:
    return clustered_share([r.choice.correct for r in records], _item_groups(records))


def _macro(records: Sequence[AnswerRecord]) -> Estimate | None:
    """Mean over components, or subjects, of their accuracies; they are all there are, only items are drawn."""
    components = [_component(r) for r in records]
    equal = dict.fromkeys(components, 1.0)
    right = [float(r.choice.correct) for r in records]
    return weighted_ratio(right, np.ones(len(right)), components, equal, _item_groups(records))


def _item_groups(records: Sequence[AnswerRecord]) -> list[str]:
    return [r.choice.item.group for r in records]


def _against(chance: float, accuracy: Estimate) -> str | None:
    """Where the 95 % interval lies: `above` chance, `below` it, or `undecided` around it; None where there is none."""
    if accuracy.interval is None:
        return None
    low, high = accuracy.interval
    return "above" if low > chance else "below" if high < chance else "undecided"


def spread(rows: Sequence[dict[str, Any]]) -> float | None:
    """Largest minus smallest accuracy over the protocols: what the choice of protocol alone is worth."""
    means = [row["accuracy"]["mean"] for row in rows]
    return max(means) - min(means) if means else None


def _split(records: Sequence[Record]) -> tuple[list[Record] | None, list[Record] | None]:
    """Clean and contaminated records; None where contamination was not measured."""
    if any(r.overlap is None for r in records):
        return None, None
    bad = [r for r in records if r.overlap and r.overlap.contaminated]
    return [r for r in records if not (r.overlap and r.overlap.contaminated)], bad


def _share(records: Sequence[object], contaminated: Sequence[object] | None) -> float | None:
    return None if contaminated is None or not records else len(contaminated) / len(records)


def _json(estimate: Estimate | None) -> dict[str, Any] | None:
    return estimate.to_json() if estimate else None
