"""The training loop. Bits depend on the config, the tokens and the platform; not on interruptions or wall clock."""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.cost import measured_peak, training_flops_per_token
from libertas.model.sizes import named_size
from libertas.model.transformer import Model
from libertas.terminal import progress, say
from libertas.tokenize.order import Order
from libertas.tokenize.pack import batches
from libertas.tokenize.store import TokenStore
from libertas.train import checkpoint
from libertas.train.archive import Archive
from libertas.train.config import TrainConfig
from libertas.train.journal import METRICS, Journal, read_metrics
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout, layout_of
from libertas.train.schedule import learning_rate
from libertas.train.step import Step
from libertas.train.stopping import Interrupted, stop_requests
from libertas.train.validation import Validation
from libertas.train.watch import Watch

VOLATILE = ("metrics.jsonl", "checkpoints/*/manifest.json", "resume/*")
"""Files of a run that hold clocks, or depend on when it was interrupted."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    path: Path
    steps: int
    weights_hash: str


def train(config: TrainConfig) -> Run:
    """Train, or continue an interrupted training, until `config.steps`.

    Raises:
        UsageError: too few tokens for one batch.
        Interrupted: on SIGINT or SIGTERM, after saving the full state.
    """
    draft = Draft(
        kind="run", out=config.out, config=config, inputs={"tokens": [config.tokens]}, code=__name__, volatile=VOLATILE
    )
    if not draft.finished():
        store = TokenStore.open(config.tokens)
        shape = replace(named_size(config.model), vocabulary=store.vocabulary)
        order = order_of(config, store, shape)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        with draft.build(resume=True) as folder:
            model = _optimize(config, store, shape, order, folder)
            rows = read_metrics(folder / METRICS)
            draft.counts = {
                "steps": config.steps,
                "tokens_read": config.steps * config.batch * shape.context,
                "parameters": model.parameter_count(),
                "final_loss": rows[-1]["loss"],
                "weights": checkpoint.weights_hash(dict(model.state_dict())),
                "order": {"tokens": order.tokens, "length": order.length, "batch": order.batch, "seed": order.seed},
            }
    last = checkpoint.folder_of(config.out / "checkpoints", config.steps)
    return Run(config.out, config.steps, str(read_manifest(last).counts["weights"]))


def order_of(config: TrainConfig, store: TokenStore, shape: ModelConfig) -> Order:
    """The order in which a training reads a store."""
    order = Order(tokens=len(store), length=shape.context, batch=config.batch, seed=config.seed)
    if order.sequences < config.batch:
        raise UsageError(
            f"{config.tokens} has {len(store):,} tokens, not enough for one batch of {config.batch} sequences of "
            f"{shape.context}; gather more text, or lower batch or choose a smaller model"
        )
    return order


def _optimize(config: TrainConfig, store: TokenStore, shape: ModelConfig, order: Order, folder: Path) -> Model:
    layout: Layout = layout_of(config)
    model = Model(shape, config.seed)
    optimizers = make_optimizers(model, config)
    do = Step(model, optimizers, config, layout)
    archive = Archive(folder, model, optimizers, config, layout)
    step = archive.restore()
    if step:
        say(f"continuing after step {step:,} of {config.steps:,}")
    watch = Watch(config, [row for row in read_metrics(folder / METRICS) if row["step"] <= step])
    validation = Validation(config, shape)
    tokens_per_step = config.batch * shape.context
    flops_per_step = training_flops_per_token(shape, shape.context) * tokens_per_step
    peak = measured_peak()
    with (
        stop_requests() as stop,
        closing(archive),
        closing(Journal(folder, after_step=step)) as journal,
        progress(f"training {config.model}", config.steps) as bar,
    ):
        bar.advance(step)
        events: list[str] = []
        for step, batch in batches(store, order, step + 1, config.steps, config.workers):  # noqa: B020 - continues it
            started = time.perf_counter()
            share = learning_rate(step, config.steps, 1.0, config.warmup, config.final_rate)
            measured = do.measure(batch)
            watch.judge(step, measured, share * config.learning_rate)
            do.update(share)
            seconds = time.perf_counter() - started
            row: dict[str, Any] = {
                "step": step,
                "tokens": step * tokens_per_step,
                "loss": measured.loss,
                "learning_rate": share * config.learning_rate,
                "gradient_norm": measured.gradient_norm,
                "tokens_per_second": tokens_per_step / seconds,
                "mfu": flops_per_step / seconds / peak,
            }
            if routings := model.routings():
                row["router_balance"] = sum(float(r.balance.detach()) for r in routings) / len(routings)
                row["router_busiest"] = max(float(r.shares.max()) for r in routings)
            if validation.bytes and (step % config.validate_every == 0 or step == config.steps):
                row["validation_bits_per_byte"] = validation.bits_per_byte(model)
            if events:
                row["events"] = events
            journal.write(row)  # before the state is saved: a run that continues after this step has its line
            events = archive.after(step, leaving=bool(stop))
            speed = f"{row['tokens_per_second']:,.0f} tok/s  mfu {row['mfu']:.0%}"
            bar.advance(1, f"loss {measured.loss:.3f}  lr {row['learning_rate']:.1e}  {speed}")
            if stop and step < config.steps:
                raise Interrupted(f"stopped after step {step:,} of {config.steps:,}; the same command continues there")
    return model
