"""What a batch costs beside the step that it is for: tokens alone, with masks and components, and under each objective.

Usage: python benchmarks/train_data.py [TEXT] [ROUNDS]

TEXT is any file of UTF-8; without one, sentences are made up. A vocabulary of 4,096 is learned from it. Batches have 8
rows of 256, the demo's shape, and are read in the process that trains, nothing ahead. They take turns with steps of the
demo's model (Muon, fp32, two threads), so that a slow minute hits both; medians count.
Prints one JSON line per kind of batch. Exit status 1 if one takes more than a hundredth of a step.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from making import document, mixed_corpus, text

from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.pack import Asked, read_batch
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.objective import asked_of
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout
from libertas.train.step import Step

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 40
BATCH, THREADS, DOCUMENT, MOST = 8, 2, 4000, 0.01
SHAPE = SIZES["neo-1m"]

words = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else " ".join(text(n, 400) for n in range(1000))
folder = Path(tempfile.mkdtemp())
documents = [
    document(n, ("web", "books")[n % 2], words[start : start + DOCUMENT])
    for n, start in enumerate(range(0, len(words), DOCUMENT))
]
corpus = mixed_corpus(folder / "mix", documents, [])
size = SHAPE.vocabulary if len(sys.argv) > 1 else 700
tokens = folder / "tokens"
store = tokenize(TokenizeConfig(corpus=corpus, out=tokens, vocabulary=size, fim=True, sentinels=100, padding=True))
order = Order(tokens=len(store), length=SHAPE.context, batch=BATCH, seed=0)
asked = {"tokens": Asked(), "masks and components": Asked(masks=True, components=True)}
for objective in ("fim", "span", "prefix", "ul2"):
    config = TrainConfig(tokens=tokens, out=folder, objective=objective)
    asked[objective] = asked_of(config, store)

torch.set_num_threads(THREADS)
model = Model(SHAPE)
step = Step(model, make_optimizers(model, config), TrainConfig(tokens=tokens, out=folder), Layout())
seconds: dict[str, list[float]] = {name: [] for name in ["step", *asked]}
for turn in range(1, ROUNDS + 3):
    batch = read_batch(store, order, turn)
    started = time.perf_counter()
    step.measure(batch)
    step.update(0.1)
    seconds["step"].append(time.perf_counter() - started)
    for name, what in asked.items():
        started = time.perf_counter()
        read_batch(store, order, turn, asked=what)
        seconds[name].append(time.perf_counter() - started)
medians = {name: statistics.median(times[2:]) for name, times in seconds.items()}  # the first two warm up
for name in asked:
    print(
        json.dumps(
            {
                "benchmark": "train_data",
                "batch": name,
                "milliseconds": round(1000 * medians[name], 3),
                "step_milliseconds": round(1000 * medians["step"], 1),
                "share_of_step": round(medians[name] / medians["step"], 4),
                "tokens_per_second": round(BATCH * SHAPE.context / medians[name]),
                "rounds": ROUNDS,
            }
        )
    )
sys.exit(max(medians[name] for name in asked) > MOST * medians["step"])
