"""What `results.json` holds: the scores in the keys of lm-eval's results files, and in full under `libertas`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import zstandard

from libertas.evaluate import overlap as overlaps
from libertas.evaluate.answer import first_prompt
from libertas.evaluate.chat import Prompting
from libertas.evaluate.compression import POLICY, XZ_POLICY
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.documents import training_parts
from libertas.evaluate.ngram import ORDER
from libertas.evaluate.produce import WritingRules
from libertas.evaluate.reading import TRUNCATION, Reading
from libertas.evaluate.summary import AnswerRecord, DocumentRecord, accuracies, bits_per_byte, spread
from libertas.evaluate.task import Task, readings_of
from libertas.evaluate.tasks.bits_per_byte import CONVENTIONS, WINDOW_POLICY
from libertas.evaluate.written import WrittenAnswer, written_metrics, written_rows
from libertas.tokenize.store import TokenStore
from libertas.train.checkpoint import Checkpoint

TASK_VERSION = 1
"""Raised when a task's meaning changes."""


def readings_put(config: EvaluateConfig, task: Task, prompting: Prompting) -> list[Reading]:
    """The readings of a task, put as the settings say."""
    asking = config.asking.resolved(prompting.usual)
    return [replace(reading, asking=asking) for reading in readings_of(config, task)]


def writing_rules(config: EvaluateConfig) -> WritingRules:
    """How answers are written."""
    most, temperature = config.most_tokens, config.temperature
    return WritingRules(samples=config.samples, temperature=temperature, most_tokens=most, seed=config.seed)


def scorecard(
    config: EvaluateConfig,
    model: Checkpoint,
    store: TokenStore | None,
    prompting: Prompting,
    documents: Sequence[DocumentRecord],
    tasks: Sequence[Task],
    answers: Mapping[str, Sequence[AnswerRecord]],
    texts: Mapping[str, Sequence[WrittenAnswer]],
) -> dict[str, Any]:
    """Content of `results.json`: nothing in it depends on the day, the place or the machine's name."""
    bits = bits_per_byte(documents, training_parts(store)) if store and documents else []
    told = {task.name: _told(config, task, prompting, answers[task.name], texts[task.name]) for task in tasks}
    found: dict[str, tuple[dict[str, Any], int, int]] = {}
    for row in bits:
        values = {"bits_per_byte,none": row["model"]["mean"], "bits_per_byte_stderr,none": row["model"]["stderr"]}
        found[f"bits_per_byte_{row['component']}"] = values, row["documents"], 0
    for task in tasks:
        for row in told[task.name]["protocols"]:
            values = {"acc,none": row["accuracy"]["mean"], "acc_stderr,none": row["accuracy"]["stderr"]}
            found[f"{task.name}_{row['protocol']}"] = values, row["accuracy"]["n"], config.shots_of(task.name).count
        for row in told[task.name]["written"]:
            name, n = f"{task.name}_{row['protocol']}", row["accuracy"]["n"]
            found[name] = written_metrics(row), n, config.shots_of(task.name).count
    return {
        "results": {name: {"alias": name, **values} for name, (values, _, _) in found.items()},
        "versions": dict.fromkeys(found, TASK_VERSION),
        "n-shot": {name: shots for name, (_, _, shots) in found.items()},
        "higher_is_better": {
            name: {
                key.removesuffix(",none"): not key.startswith("bits_per_byte") for key in values if "_stderr" not in key
            }
            for name, (values, _, _) in found.items()
        },
        "n-samples": {name: {"original": n, "effective": n} for name, (_, n, _) in found.items()},
        "config": {
            "model": "libertas",
            "model_args": {"step": model.step, "weights": model.weights_hash},
            "model_num_parameters": model.model.parameter_count(),
            "model_dtype": str(model.model.embedding.weight.dtype),
            "random_seed": config.seed,
        },
        "libertas": {
            "weights": model.weights_hash,
            "step": model.step,
            "bits_per_byte": bits,
            "continuation": {"asked": config.items, **told["continuation"]},
            "tasks": {name: row for name, row in told.items() if name != "continuation"},
            "contamination": {
                "measured": config.index is not None,
                "span_tokens": overlaps.SPAN_TOKENS,
                "coverage": overlaps.CONTAMINATED_COVERAGE,
            },
            "policies": _policies(config, prompting),
        },
    }


def _policies(config: EvaluateConfig, prompting: Prompting) -> dict[str, str]:
    return {
        "windows": WINDOW_POLICY,
        **{f"bits per byte, {name}": words for name, words in CONVENTIONS.items()},
        "ngram": f"{ORDER}-gram, interpolated modified Kneser-Ney, on the training tokens",
        "zstd": f"{POLICY}; libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
        "xz": XZ_POLICY,
        **prompting.described(config.asking),
        "order": "as the task has them" if config.order_seed is None else f"shuffled, seed {config.order_seed}",
        "truncation": TRUNCATION,
    }


def _told(
    config: EvaluateConfig,
    task: Task,
    prompting: Prompting,
    answers: Sequence[AnswerRecord],
    texts: Sequence[WrittenAnswer],
) -> dict[str, Any]:
    """What is said of one task."""
    readings = readings_put(config, task, prompting)
    rows, written = accuracies(answers, readings), written_rows(texts, readings, writing_rules(config).described())
    shots = config.shots_of(task.name)
    return {
        "items": len(task.items),
        "refused": list(task.refused),
        "protocols": rows,
        "written": written,
        "spread": spread([*rows, *written]),
        "first_prompts": {
            r.name: first_prompt(task.items, r, task.pool, shots, prompting) for r in readings if task.items
        },
    }
