"""lm-eval's tasks with our model: a stage that runs lm-eval 0.4 and keeps what it says."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch

from libertas.errors import UsageError
from libertas.evaluate.config import HarnessConfig
from libertas.evaluate.result import write_lines
from libertas.evaluate.tables import narrow_table
from libertas.lineage.artifact import Draft, write_json
from libertas.train.checkpoint import load_checkpoint

RESULTS, SAMPLES = "results.json", "samples.jsonl"


@dataclass(frozen=True)
class HarnessResult:
    """What lm-eval found out about a model."""

    path: Path
    results: dict[str, dict[str, Any]]
    """Its `results`, by task."""


def run_harness(config: HarnessConfig) -> HarnessResult:
    """Score a model on tasks of lm-eval.

    Raises:
        UsageError: lm-eval is not installed, or does not know a task.
    """
    try:
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.tasks import TaskManager

        from libertas.evaluate.harness_model import HarnessModel
    except ImportError as error:
        raise UsageError(f"lm-eval is not installed ({error}); run `pip install 'lm-eval>=0.4.13,<0.5'`") from error
    sources = sorted(config.include_path.glob("**/*.yaml")) if config.include_path else []
    draft = Draft(
        kind="harness", out=config.out, config=config, inputs={"run": [config.run], "task": sources}, code=__name__
    )
    if not draft.finished():
        own = str(config.include_path) if config.include_path else None
        manager = TaskManager(include_path=own, include_defaults=not own or config.defaults)
        known = set(manager.all_tasks)
        if unknown := [task for task in config.tasks if task not in known]:
            raise UsageError(f"lm-eval knows no task {unknown[0]!r}; give --include-path, or see `lm-eval ls tasks`")
        torch.set_num_threads(config.threads)
        checkpoint = load_checkpoint(config.run)
        checkpoint.model.to(getattr(torch, config.precision))
        model = HarnessModel(checkpoint)
        with draft.build() as folder:
            found = simple_evaluate(
                model=model,
                tasks=list(config.tasks),
                num_fewshot=config.shots,
                limit=config.limit or None,
                task_manager=manager,
                bootstrap_iters=0,
                verbosity="ERROR",
            )
            samples = [{"task": task, **row} for task, rows in found.pop("samples").items() for row in rows]
            write_json(folder / RESULTS, _plain(found))
            write_lines(folder / SAMPLES, [_plain(row) for row in samples])
            draft.counts = {"tasks": len(found["results"]), "samples": len(samples)}
    return HarnessResult(config.out, orjson.loads((config.out / RESULTS).read_bytes())["results"])


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON has it: numpy's numbers as numbers, functions by name."""
    how = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    plain: dict[str, Any] = orjson.loads(orjson.dumps(found, default=str, option=how))
    return plain


def harness_table(result: HarnessResult) -> Iterable[Any]:
    """Every metric of every task with its standard error."""
    table = narrow_table("lm-eval's tasks", "", "task", ("metric", "value", "stderr"))
    for task, row in result.results.items():
        for key, value in row.items():
            metric, _, filtered = key.partition(",")
            if isinstance(value, float) and not metric.endswith("_stderr"):
                error = row.get(f"{metric}_stderr,{filtered}")
                table.add_row(task, metric, f"{value:.4f}", f"{error:.4f}" if isinstance(error, float) else "-")
    yield table
