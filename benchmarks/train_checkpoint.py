"""What saving costs: the time that training loses to one full state a minute, and to the chain of digests.

Usage: python benchmarks/train_checkpoint.py [SAVES] [FOLDER]

For each size, steps of the training loop are timed with nothing else going on and with a full state being copied,
written, hashed and synced by the archive's thread. Quiet steps stand before and after every save, so that a slow minute
hits both. What a save costs is the time of the steps from its beginning to its end less as many quiet ones, plus the
copy, which training waits for; the median over all saves, in shares of a minute. A link of the chain hashes all weights
while training waits. Prints one JSON line per size.
"""

import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from libertas.lineage.artifact import Draft
from libertas.model.config import ModelConfig
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize.pack import Batch
from libertas.train.checkpoint import folder_of, remove_checkpoint, write_checkpoint
from libertas.train.config import TrainConfig
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout
from libertas.train.snapshot import Copies, Snapshot, weights_hash
from libertas.train.space import snapshot_bytes
from libertas.train.step import Step
from libertas.train.writer import Writer

SAVES = int(sys.argv[1]) if len(sys.argv) > 1 else 9
SHAPES = {
    "1M": (SIZES["neo-1m"], 8),
    "30M": (ModelConfig(vocabulary=16384, width=384, layers=13, heads=6, context=256), 4),
}
"""Shape, and sequences per step."""
THREADS, MINUTE = 2, 60.0


def saved(out: Path, snapshot: Snapshot, config: TrainConfig) -> list[str]:
    """The archive's job, for one tier."""
    write_checkpoint(out, snapshot, config)
    return []


def measured(name: str, shape: ModelConfig, batch: int, folder: Path) -> dict[str, object]:
    """Figures of one size."""
    config = TrainConfig(tokens=folder / "tokens", out=folder / "run")
    model = Model(shape, 0)
    optimizers = make_optimizers(model, config)
    do, copies, writer = Step(model, optimizers, config, Layout()), Copies(model, optimizers), Writer()
    generator = torch.Generator().manual_seed(0)

    def step() -> float:
        tokens = torch.randint(0, shape.vocabulary, (batch, shape.context + 1), generator=generator)
        started = time.perf_counter()
        do.measure(Batch(tokens.numpy()))
        do.update(0.1)
        return time.perf_counter() - started

    quiet: list[float] = []
    waits: list[float] = []
    extras: list[float] = []
    writes: list[float] = []
    links: list[float] = []
    for save in range(SAVES + 1):
        before = [step() for _ in range(4)]
        began = time.perf_counter()
        snapshot = copies.take(save, whole=True)
        wait = time.perf_counter() - began
        out = folder_of(folder / name, save)
        writer.start(partial(saved, out, snapshot, config))
        during = []
        while writer.busy:
            during.append(step())
        written = time.perf_counter() - began
        assert writer.events() == []
        remove_checkpoint(out)
        after = [step() for _ in range(4)]
        began = time.perf_counter()
        weights_hash(dict(model.state_dict()))
        if save:  # the first one takes its memory from the system
            links.append(time.perf_counter() - began)
            waits.append(wait)
            writes.append(written)
            quiet += before + after
            extras.append(wait + sum(during) - len(during) * statistics.median(before + after))
    usual = statistics.median(quiet)
    return {
        "benchmark": "train_checkpoint",
        "parameters": model.parameter_count(),
        "state_megabytes": round(snapshot_bytes(snapshot, whole=True) / 1e6, 1),
        "step_seconds": round(usual, 4),
        "copy_seconds": round(statistics.median(waits), 4),
        "copy_in_steps": round(statistics.median(waits) / usual, 3),
        "write_seconds": round(statistics.median(writes), 3),
        "lost_seconds_per_save": round(statistics.median(extras), 3),
        "lost_share_at_one_save_a_minute": round(statistics.median(extras) / MINUTE, 5),
        "link_seconds": round(statistics.median(links), 4),
        "link_share_every_100_steps": round(statistics.median(links) / (100 * usual), 5),
        "saves": SAVES,
        "threads": THREADS,
    }


torch.set_num_threads(THREADS)
with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as place:
    draft = Draft(kind="tokens", out=Path(place) / "tokens", config=TrainConfig(tokens=Path(), out=Path()), inputs={},
                  code="libertas.train.config")  # fmt: skip
    with draft.build() as tokens:
        (tokens / "tokenizer.json").write_bytes(b"{}")
    for name, (shape, batch) in SHAPES.items():
        print(json.dumps(measured(name, shape, batch, Path(place))), flush=True)
