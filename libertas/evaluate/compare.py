"""Models on the same items: the paired difference of every score, its error, and the items that changed sides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from libertas.errors import BrokenLineage, LibertasError, UsageError
from libertas.evaluate.config import CompareConfig
from libertas.evaluate.result import Result
from libertas.evaluate.sensitivity.ranks import rank_stability
from libertas.evaluate.sensitivity.report import SENSITIVITY
from libertas.evaluate.statistics import (
    Estimate,
    clustered_mean,
    clustered_share,
    detectable,
    mcnemar,
    paired_ratio,
    paired_shares,
    ratio,
)
from libertas.evaluate.summary import NATS_PER_BIT
from libertas.lineage.artifact import write_json
from libertas.lineage.manifest import is_artifact, read_manifest, require_sound
from libertas.lineage.walk import parent_path

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"

BITS = "bits_per_byte"
"""The task whose records are documents, not items."""

Row = dict[str, Any]
Pair = tuple[Row, Row]
Items = dict[tuple[str, str], Row]


class NoGo(LibertasError):
    """The new model is worse by more than the margin."""


class TooFewItems(LibertasError):
    """The items do not tell whether the new model is worse."""

    status = 3


@dataclass(frozen=True, slots=True)
class Flip:
    """An item that one model has right and the other wrong."""

    item: str
    asked: str
    right: str
    """The right answer."""
    old: str
    """What the old model chose, or wrote."""
    new: str
    old_probability: float | None = None
    """What the old model gave the right answer, among the choices; None where the answer was written."""
    new_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of two models, on the same items."""

    name: str
    old: Estimate
    new: Estimate
    difference: Estimate
    """New less old."""
    higher_is_better: bool
    result: Path
    """The new one."""
    won: tuple[Flip, ...] = ()
    """Items that only the new model has right."""
    lost: tuple[Flip, ...] = ()
    right_or_wrong: bool = True
    """Whether an item is either, so that McNemar's test applies."""

    @property
    def probability(self) -> float | None:
        """McNemar's, for scores of right and wrong."""
        tested = self.higher_is_better and self.right_or_wrong
        return mcnemar(len(self.won), len(self.lost)) if tested else None

    def verdict(self, margin: float) -> str:
        """Whether the loss of this score stays within the margin, by the difference's 95 % interval."""
        if self.difference.interval is None:
            return INCONCLUSIVE
        low, high = self.difference.interval
        least, most = (-high, -low) if self.higher_is_better else (low, high)
        allowed = margin if self.higher_is_better else margin * self.old.mean
        if most <= allowed:
            return GO
        return NO_GO if least > allowed else INCONCLUSIVE

    def to_json(self, margin: float) -> Row:
        """Plain values."""
        return {
            "score": self.name,
            "result": str(self.result),
            "old": self.old.to_json(),
            "new": self.new.to_json(),
            "difference": self.difference.to_json(),
            "detectable": detectable(self.difference),
            "higher_is_better": self.higher_is_better,
            "mcnemar": self.probability,
            "verdict": self.verdict(margin),
            "won": [asdict(flip) for flip in self.won],
            "lost": [asdict(flip) for flip in self.lost],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every score that all results have, of each against the first."""

    config: CompareConfig
    differences: list[Difference]
    left_out: int
    """Items and documents, under each protocol, that not all results have."""
    ranks: Mapping[str, Any] | None = None
    """By task, whether the models keep their order however they are asked; where all results have that."""


def compare(config: CompareConfig) -> Comparison:
    """Compare results with the first, score by score, on the items and documents that all have.

    Raises:
        UsageError: they have none in common, or an item is another question in one of them.
        BrokenLineage: a result is not what was written, or its run holds other weights than it scored.
    """
    results = [opened_result(path) for path in config.results]
    first, *others = keyed = [_by_key(result) for result in results]
    shared = set(first).intersection(*others)
    if not shared:
        said = " and ".join(map(str, config.results))
        raise UsageError(f"{said} share no item or document; score the same tasks, under the same protocols")
    items = [{(str(row["task"]), str(row["id"])): row for row in result.items()} for result in results]
    _require_same_items(config.results, items, {(first[key]["task"], key[1]) for key in shared})
    names: dict[str, list[str]] = {}
    for name, item in sorted(shared):
        names.setdefault(name, []).append(item)
    differences = [
        _difference(name, path, [(first[name, i], rows[name, i]) for i in found], (items[0], own))
        for name, found in names.items()
        for path, rows, own in zip(config.results[1:], others, items[1:], strict=True)
    ]
    comparison = Comparison(config, differences, len(set().union(*keyed)) - len(shared), _ranks(config.results))
    if config.out is not None:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(config.out, _told(comparison, results))
    return comparison


def _ranks(paths: Sequence[Path]) -> dict[str, Any] | None:
    """Rank stability, where all results have a sensitivity report and these have a cell in common."""
    reports = {str(path): path / SENSITIVITY for path in paths}
    if len(reports) < 2 or not all(report.is_file() for report in reports.values()):
        return None
    try:
        return rank_stability({name: orjson.loads(report.read_bytes()) for name, report in reports.items()})
    except UsageError:
        return None


def opened_result(path: Path) -> Result:
    """A result whose bytes are the recorded ones, and whose run, if it is still there, holds what was scored.

    Raises:
        UsageError: it is no result.
        BrokenLineage: one of these does not hold.
    """
    result, manifest = Result.open(path), read_manifest(path)
    require_sound(path, manifest)
    said = result.scores.get("libertas", {}).get("weights")
    source = next((source for source in manifest.inputs if source.role == "run"), None)
    run = parent_path(path, source) if source else None
    if said is None or run is None or not is_artifact(run):
        return result
    found = read_manifest(run).counts.get("weights")
    if found not in (said, None):
        what = f"{path} scored the weights {said[:15]}…, but {run} holds {found[:15]}…"
        raise BrokenLineage(f"{what}; evaluate it again, or restore the run")
    return result


def _by_key(result: Result) -> dict[tuple[str, str], Row]:
    """Records by the name of their score and their item or document."""
    found = {}
    for row in result.records():
        if row["task"] == BITS:
            found[BITS, row["document"]] = row
        else:
            found[f"{row['task']} {row['protocol']}", row["item"]] = row
    return found


def _require_same_items(paths: Sequence[Path], items: Sequence[Items], keys: set[tuple[str, str]]) -> None:
    """Items of one name must ask the same."""
    for key in sorted(keys):
        told = [_asked(own.get(key, {})) for own in items]
        for path, one in zip(paths, told, strict=True):
            if one != told[0]:
                raise UsageError(
                    f"item {key[1]} of {key[0]} is another question in {path} than in {paths[0]}; "
                    "score both on the same files"
                )


def _asked(item: Row) -> list[Any]:
    """What an item asks, in whatever order its choices stand."""
    return [*(item.get(part) for part in ("passage", "question", "answer")), sorted(item.get("choices") or [])]


def _difference(name: str, path: Path, pairs: Sequence[Pair], items: tuple[Items, Items]) -> Difference:
    if name == BITS:
        return _bits_difference(path, pairs)
    groups = [str(one.get("group", one["item"])) for one, _ in pairs]
    before, after = ([_rightness(row) for row in side] for side in zip(*pairs, strict=True))
    whole = {*before, *after} <= {0.0, 1.0}
    mean = clustered_share if whole else clustered_mean
    if whole:
        change = paired_shares([bool(v) for v in before], [bool(v) for v in after], groups)
    else:
        change = clustered_mean(np.array(after) - np.array(before), groups)
    triples = list(zip(pairs, before, after, strict=True))
    return Difference(
        name=name,
        old=_known(mean(before, groups)),
        new=_known(mean(after, groups)),
        difference=_known(change),
        higher_is_better=True,
        result=path,
        won=tuple(_flip(pair, items) for pair, one, two in triples if two > one),
        lost=tuple(_flip(pair, items) for pair, one, two in triples if one > two),
        right_or_wrong=whole,
    )


def _bits_difference(path: Path, pairs: Sequence[Pair]) -> Difference:
    first, second = ([-row["log_probability"] / NATS_PER_BIT for row in side] for side in zip(*pairs, strict=True))
    by = [float(one["bytes"]) for one, _ in pairs]
    documents = [str(one["document"]) for one, _ in pairs]
    sites = [str(one.get("site", one["document"])) for one, _ in pairs]
    groups = sites if len(set(sites)) > 1 else documents
    return Difference(
        name=BITS,
        old=_known(ratio(first, by, groups)),
        new=_known(ratio(second, by, groups)),
        difference=_known(paired_ratio(first, by, second, by, groups)),
        higher_is_better=False,
        result=path,
    )


def _known(found: Estimate | None) -> Estimate:
    assert found is not None, "a score without an item, or of documents without a byte"
    return found


def _rightness(row: Row) -> float:
    """1 or 0; of an answer that was written several times, the share that is right."""
    return float(np.mean(row["right"])) if row.get("right") else float(row["correct"])


def _flip(pair: Pair, items: tuple[Items, Items]) -> Flip:
    old, new = pair
    item, as_new = (own.get((old["task"], old["item"]), {}) for own in items)
    return Flip(
        item=old["item"],
        asked=str(item.get("question") or item.get("passage") or ""),
        right=str(item.get("answer", "")),
        old=_said(old, item),
        new=_said(new, as_new),
        old_probability=_of_the_right(old),
        new_probability=_of_the_right(new),
    )


def _said(row: Row, item: Row) -> str:
    if row.get("written"):
        return str(row["written"][0])
    chosen, choices = row.get("chosen", -1), item.get("choices") or []
    return str(choices[chosen]) if 0 <= chosen < len(choices) else ""


def _of_the_right(row: Row) -> float | None:
    """Probability of the right choice, among the choices: of their texts as they are, whatever was compared."""
    logs = row.get("log_probabilities")
    if not logs:
        return None
    likeliest = max(logs)
    return math.exp(logs[row["gold"]] - likeliest) / math.fsum(math.exp(log - likeliest) for log in logs)


def _told(comparison: Comparison, results: Sequence[Result]) -> Row:
    """Content of the file at `out`."""
    config = comparison.config
    return {
        "results": [
            {"path": str(result.path), "weights": result.scores.get("libertas", {}).get("weights")}
            for result in results
        ],
        "margin": config.margin,
        "left_out": comparison.left_out,
        "ranks": comparison.ranks,
        "scores": [row.to_json(config.margin) for row in comparison.differences],
    }
