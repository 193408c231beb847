"""Trainings, one after the other, in every process that the launcher starts; `test_parallel.py` says which.

Numbers are float64, so that what two layouts disagree in is an error, and not the order in which they add up.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch._C._distributed_c10d import _get_work_registry_size as exchanges_under_way
from torch.distributed import _functional_collectives as collectives

from libertas.model.config import ModelConfig
from libertas.model.sizes import SIZES
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.loop import train
from libertas.train.parallel import Layout
from libertas.train.stopping import Interrupted

SHAPES = {
    "neo": ModelConfig(
        vocabulary=1, width=16, layers=3, heads=4, context=32, window=8, attention=("global", "local", "linear")
    ),
    # Nothing here divides evenly over four processes but what tensor parallelism needs.
    "llama": ModelConfig(
        vocabulary=1,
        width=24,
        layers=2,
        heads=4,
        key_heads=2,
        context=32,
        attention=("global",),
        attention_scale=None,
        positions="rotary",
        norm="rms",
        hidden=44,
        activation="silu",
        gated=True,
        qkv_bias=True,
        query_key_norm=True,
        tied=False,
        logits_bias=True,
        initialization="gpt2",
    ),
    "bloom": ModelConfig(
        vocabulary=1,
        width=16,
        layers=2,
        heads=4,
        context=32,
        positions="alibi",
        embedding_norm=True,
        residual="parallel",
        window=8,
        initialization="gpt2",
    ),
    "experts": ModelConfig(
        vocabulary=1,
        width=16,
        layers=2,
        heads=2,
        context=32,
        experts=3,
        experts_per_token=2,
        hidden=24,
        feed_forward_bias=False,
    ),
}
SETTINGS: dict[str, Any] = {
    "steps": 20,
    "batch": 8,
    "micro_batch": 2,
    "warmup": 0.0,
    "checkpoint_every": 100,
    "validate_every": 10,
    "threads": 1,
}
"""Rates do not rise, so that every step changes much."""


def parallel(ranks: int, jobs: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
    """Start the launcher as a user would, for a list of trainings."""
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks), *options, __file__]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""}
    done = subprocess.run(
        [*words, json.dumps(jobs)], capture_output=True, text=True, timeout=600, env=environment, check=False
    )
    return done


def losses(run: Path) -> list[float]:
    """Of every step of a run, finished or not."""
    folder = run if run.exists() else run.with_name(run.name + ".partial")
    return [row["loss"] for row in read_metrics(folder / "metrics.jsonl")]


def training(job: dict[str, Any]) -> None:
    """Do one training.

    `model` names a shape above; `stop` is the step after which process `stopping` gets SIGTERM; `continues` is an
    interrupted run whose folder is copied first; `spoil` changes a number in process 1. Everything else is a setting.
    """
    settings = {**SETTINGS, **job}
    stop, stopping, continues = (settings.pop(word, None) for word in ("stop", "stopping", "continues"))
    spoil = settings.pop("spoil", False)
    double = settings.pop("double", True)
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    SIZES.update(SHAPES)
    out, rank = Path(settings.pop("out")), int(os.environ.get("RANK", "0"))
    if continues is not None and rank == 0:
        shutil.copytree(f"{continues}.partial", f"{out}.partial")

    def reached(layout: Layout, step: int) -> None:
        if stop == step and layout.rank == (stopping or 0):
            os.kill(os.getpid(), signal.SIGTERM)

    def clip(layout: Layout, parameters: Iterable[Any], largest: float) -> float:
        found = list(parameters)
        if spoil and layout.rank == 1:
            found[0].detach().to_local()[0, 0] += 1e-7
        return clipped(layout, found, largest)

    def wrap(tensor: torch.Tensor) -> Any:
        assert exchanges_under_way() <= 1, "an exchange began before the last one was over, which gloo does not bear"
        return wrapped(tensor)

    wrapped, collectives._maybe_wrap_tensor = collectives._maybe_wrap_tensor, wrap
    clipped, Layout.clip = Layout.clip, clip  # type: ignore[method-assign]
    original, Layout.reached = Layout.reached, reached  # type: ignore[method-assign]
    try:
        train(TrainConfig(tokens=Path(settings.pop("tokens")), out=out, **settings))
    except (Interrupted, SystemExit):
        assert stop is not None
    finally:
        Layout.reached, Layout.clip = original, clipped  # type: ignore[method-assign]
        collectives._maybe_wrap_tensor = wrapped
        torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    for given in json.loads(sys.argv[1]):
        training(given)
