"""Training tokens per second on this machine's CPU: our step beside the same model in transformers with plain AdamW.

Usage: python benchmarks/train_throughput.py [ROUNDS]

Both sides train GPT-Neo of the demo's shape (4 layers, width 128, vocabulary 4,096, context 256, window 64) on the same
random batches of 8 sequences, fp32, two threads. They take turns in one process, so that a slow minute hits both;
medians count. Ours is timed with AdamW, which does the same arithmetic, and with Muon, the demo's default, which does
more.
Prints one JSON line per system.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize.pack import Batch
from libertas.train.config import TrainConfig
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout
from libertas.train.step import Step as OurStep

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
BATCH, THREADS = 8, 2
SHAPE = SIZES["neo-1m"]
Step = Callable[[torch.Tensor], object]


def ours(optimizer: str) -> Step:
    """A step of the training loop."""
    config = TrainConfig(tokens=Path("t"), out=Path("o"), optimizer=optimizer)
    model = Model(SHAPE)
    optimizers = make_optimizers(model, config)
    step = OurStep(model, optimizers, config, Layout())

    def run(batch: torch.Tensor) -> None:
        step.measure(Batch(batch.numpy()))
        step.update(0.1)

    return run


def theirs() -> Step:
    """The same model as transformers offers it, with torch's AdamW as a user would write the loop."""
    model = GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=SHAPE.vocabulary,
            hidden_size=SHAPE.width,
            num_layers=SHAPE.layers,
            num_heads=SHAPE.heads,
            max_position_embeddings=SHAPE.context,
            attention_types=[[["global", "local"], SHAPE.layers // 2]],
            window_size=SHAPE.window,
            attention_dropout=0.0,
            embed_dropout=0.0,
            resid_dropout=0.0,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)

    def step(batch: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(batch[:, :-1], labels=batch[:, :-1]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


torch.set_num_threads(THREADS)
systems = {"libertas adamw": ours("adamw"), "libertas muon": ours("muon"), "transformers GPTNeo adamw": theirs()}
seconds: dict[str, list[float]] = {name: [] for name in systems}
generator = torch.Generator().manual_seed(0)
for turn in range(ROUNDS + 2):
    batch = torch.randint(0, SHAPE.vocabulary, (BATCH, SHAPE.context + 1), generator=generator)
    for name, step in systems.items():
        started = time.perf_counter()
        step(batch)
        if turn >= 2:  # the first two warm up
            seconds[name].append(time.perf_counter() - started)
peer = statistics.median(seconds["transformers GPTNeo adamw"])
for name, times in seconds.items():
    median = statistics.median(times)
    print(
        json.dumps(
            {
                "benchmark": "train_throughput",
                "system": name,
                "tokens_per_second": round(BATCH * SHAPE.context / median),
                "times_transformers": round(peer / median, 2),
                "rounds": ROUNDS,
                "threads": THREADS,
            }
        )
    )
