"""Many checkpoints of one run under the same settings: how scores came about during training."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig, StepsConfig
from libertas.evaluate.result import Result, evaluate
from libertas.evaluate.tables import narrow_table
from libertas.lineage.manifest import Manifest, named, read_manifest, recorded_settings
from libertas.lineage.walk import parent_path
from libertas.terminal import say
from libertas.train.checkpoint import folder_of, saved_under, step_of
from libertas.train.tiers import CHECKPOINTS

MOST_SCORES = 4
"""Columns of the table."""


def evaluate_steps(config: StepsConfig) -> list[Result]:
    """Score checkpoints of the run that a result is of; each becomes a result of its own, and what is there is reused.

    Prompts are made into tokens once, and items looked up in the training documents once.

    Raises:
        UsageError: the result is of a single checkpoint, or the run keeps no checkpoint of a step.
    """
    Result.open(config.result)
    settings = _settings(config.result, read_manifest(config.result))
    found = read_manifest(settings.run)
    if found.kind != "run":
        raise UsageError(f"{config.result} scores {named(found.kind)}, {settings.run}; expected the result of a run")
    kept = [step_of(path) for path in saved_under(settings.run / CHECKPOINTS)]
    if absent := [step for step in config.steps if step not in kept]:
        there = ", ".join(map(str, kept))
        raise UsageError(
            f"{settings.run} keeps no checkpoint of step {absent[0]}; it keeps {there}; see `libertas replay`"
        )
    results = []
    for step in config.steps or kept:
        say(f"step {step:,}")
        run, out = folder_of(settings.run / CHECKPOINTS, step), folder_of(config.out, step)
        results.append(evaluate(replace(settings, run=run, out=out)))
    return results


def _settings(path: Path, manifest: Manifest) -> EvaluateConfig:
    """The settings of a result, with its inputs where they are now."""
    said = recorded_settings(manifest, EvaluateConfig)
    inputs = {i.role: parent_path(path, i) for i in manifest.inputs if i.role in ("run", "corpus", "index")}
    cache = said.get("cache")
    beside = {"out": path, "baseline": None, "gate": False, "cache": Path(cache) if cache else None}
    return EvaluateConfig(**{**said, **inputs, **beside})


def steps_table(results: list[Result]) -> Iterable[object]:
    """The first scores of every step with their standard errors; the rest is in the results."""
    scores = [result.scores["results"] for result in results]
    names = list(scores[0])
    shown = [name for name in names if name.startswith("bits_per_byte")][-1:]
    shown += [name for name in names if not name.startswith("bits_per_byte")][: MOST_SCORES - len(shown)]
    rest = f"{len(names) - len(shown):,} more scores of each step are in the results" if len(names) > len(shown) else ""
    table = narrow_table("Scores during training", rest, "step", tuple(name.replace("_", " ") for name in shown))
    for result, found in zip(results, scores, strict=True):
        table.add_row(f"{result.scores['libertas']['step']:,}", *(_cell(found[name]) for name in shown))
    yield table


def _cell(row: dict[str, Any]) -> str:
    (key, value) = next((key, value) for key, value in row.items() if key.endswith(",none") and "_stderr" not in key)
    error = row.get(key.replace(",none", "_stderr,none"))
    return f"{value:.3f} ±{'?' if error is None else f'{error:.3f}'}"
