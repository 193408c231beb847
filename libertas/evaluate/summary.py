"""Records -> scores: every number with its standard error, its baselines, and its value on clean records alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from libertas.evaluate.answer import Choice
from libertas.evaluate.overlap import Overlap
from libertas.evaluate.reading import DEFAULT_READINGS, Reading
from libertas.evaluate.statistics import Estimate, clustered_mean, ratio

ALL = "all"
"""Name of the row over all components."""

NATS_PER_BIT = float(np.log(2))


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One held-out document under every comparator."""

    document: str
    component: str
    url: str
    bytes: int
    """UTF-8 bytes of its text."""
    tokens: int
    log_probability: float
    """Of the model, natural logarithm, summed over the tokens."""
    ngram_log_probability: float
    zstd_bytes: int
    zstd_primed_bytes: int
    overlap: Overlap | None
    """None when contamination was not measured."""


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One item under one protocol, and what its passage and right answer share with training."""

    choice: Choice
    overlap: Overlap | None


Record = TypeVar("Record", DocumentRecord, AnswerRecord)


def bits_per_byte(records: Sequence[DocumentRecord]) -> list[dict[str, Any]]:
    """A row per component, in order of name, and one over all documents if there are several components."""
    names = sorted({r.component for r in records})
    rows = [_bits_row(name, [r for r in records if r.component == name]) for name in names]
    return [*rows, _bits_row(ALL, records)] if len(names) > 1 else rows


def _bits_row(name: str, records: Sequence[DocumentRecord]) -> dict[str, Any]:
    clean, contaminated = _split(records)
    return {
        "component": name,
        "documents": len(records),
        "bytes": sum(r.bytes for r in records),
        "tokens": sum(r.tokens for r in records),
        "model": _json(_model_bits(records)),
        "ngram": _json(_bits([-r.ngram_log_probability / NATS_PER_BIT for r in records], records)),
        "zstd": _json(_bits([8.0 * r.zstd_bytes for r in records], records)),
        "zstd_primed": _json(_bits([8.0 * r.zstd_primed_bytes for r in records], records)),
        "contaminated_share": _share(records, contaminated),
        "clean": _json(_model_bits(clean)) if clean is not None else None,
        "contaminated": _json(_model_bits(contaminated)) if contaminated is not None else None,
    }


def _model_bits(records: Sequence[DocumentRecord]) -> Estimate | None:
    return _bits([-r.log_probability / NATS_PER_BIT for r in records], records)


def _bits(bits: Iterable[float], records: Sequence[DocumentRecord]) -> Estimate | None:
    return ratio(list(bits), [r.bytes for r in records])


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
    return {
        "accuracy": _json(_accuracy(records)),
        "chance": float(np.mean([1 / len(c.item.choices) for c in choices])),
        "majority": float(golds.max() / len(choices)),
        "answer_only": float(np.mean([c.answer_only == c.item.gold for c in choices])),
        "truncated": sum(c.truncated for c in choices),
        "token_spans_join": sum(c.spanned for c in choices),
        "contaminated_share": _share(records, contaminated),
        "clean": _json(_accuracy(clean)) if clean is not None else None,
        "contaminated": _json(_accuracy(contaminated)) if contaminated is not None else None,
    }


def _accuracy(records: Sequence[AnswerRecord]) -> Estimate | None:
    return clustered_mean([float(r.choice.correct) for r in records], [r.choice.item.group for r in records])


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
