"""The training loop. Bits depend on the config, the tokens and the platform; not on interruptions or wall clock."""

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.sizes import named_size
from libertas.model.transformer import Model
from libertas.terminal import progress, say
from libertas.tokenize.order import Order
from libertas.tokenize.pack import Asked, batches
from libertas.tokenize.store import TokenStore
from libertas.train import checkpoint
from libertas.train.archive import Archive
from libertas.train.chain import Chain
from libertas.train.cold import copy_rest
from libertas.train.config import TrainConfig
from libertas.train.host import Host
from libertas.train.journal import METRICS, Journal, read_metrics
from libertas.train.logs import opened_logs, require_logs
from libertas.train.metrics import Metrics
from libertas.train.objective import asked_of
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout, joined_processes, require_fitting
from libertas.train.schedule import share_of_rates
from libertas.train.step import Step
from libertas.train.stopping import Interrupted, stop_requests
from libertas.train.tiers import checkpoint_steps
from libertas.train.validation import Validation
from libertas.train.watch import RollBack, Watch, not_applied, take_back

VOLATILE = ("metrics.jsonl", "tensorboard/*", "checkpoints/*/manifest.json", "states/*", "resume/*")
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
        LibertasError: another process of this training is gone.
    """
    with joined_processes(config) as layout:
        return _train(config, layout)


def _train(config: TrainConfig, layout: Layout) -> Run:
    thinned = [f"checkpoints/step-{step:08d}/*" for step in checkpoint_steps(config)[:-1]]
    volatile = (*VOLATILE, *thinned)  # which of them a budget leaves is no matter: chain.jsonl tells what they were
    inputs = {"tokens": [config.tokens]}
    draft = Draft(kind="run", out=config.out, config=config, inputs=inputs, code=__name__, volatile=volatile)
    if draft.finished():
        if config.archive and layout.first:
            copy_rest(config.out, config.archive, config.tokens / checkpoint.TOKENIZER)
    else:
        store = TokenStore.open(config.tokens)
        shape = replace(named_size(config.model), vocabulary=store.vocabulary)
        order = order_of(config, store, shape)
        require_fitting(config, shape, layout)
        require_logs(config)
        asked = asked_of(config, store)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        with draft.build(resume=True) if layout.first else nullcontext(draft.partial) as folder:
            layout.agreed(None)  # the folder is there
            model = optimize(config, store, shape, order, asked, folder, layout)
            if layout.first:
                rows = read_metrics(folder / METRICS)
                draft.counts = {
                    "steps": config.steps,
                    "processes": layout.ranks,
                    "tokens_read": config.steps * config.batch * shape.context,
                    "parameters": model.parameter_count(),
                    "final_loss": rows[-1]["loss"],
                    "weights": _weights_of(folder, config.steps),
                    "order": {"tokens": order.tokens, "length": order.length, "batch": order.batch, "seed": order.seed},
                    **({"not_applied": sorted(missed)} if (missed := not_applied(rows)) else {}),
                }
    layout.agreed(None)  # the run is there
    return Run(config.out, config.steps, _weights_of(config.out, config.steps))


def _weights_of(run: Path, step: int) -> str:
    return str(read_manifest(checkpoint.folder_of(run / "checkpoints", step)).counts["weights"])


def order_of(config: TrainConfig, store: TokenStore, shape: ModelConfig) -> Order:
    """The order in which a training reads a store."""
    order = Order(tokens=len(store), length=shape.context, batch=config.batch, seed=config.seed)
    if order.sequences < config.batch:
        raise UsageError(
            f"{config.tokens} has {len(store):,} tokens, not enough for one batch of {config.batch} sequences of "
            f"{shape.context}; gather more text, or lower batch or choose a smaller model"
        )
    return order


def optimize(
    config: TrainConfig,
    store: TokenStore,
    shape: ModelConfig,
    order: Order,
    asked: Asked,
    folder: Path,
    layout: Layout,
    until: int | None = None,
) -> Model:
    """Optimize in a run's folder up to `until`, by default the last step; again from before if a spike asks for it."""
    until = config.steps if until is None else until
    while True:
        try:
            return _optimize(config, store, shape, order, asked, folder, layout, until)
        except RollBack as back:
            if layout.first:
                take_back(folder, back.spike)
            layout.agreed(None)  # what is to be forgotten is gone


def _optimize(
    config: TrainConfig,
    store: TokenStore,
    shape: ModelConfig,
    order: Order,
    asked: Asked,
    folder: Path,
    layout: Layout,
    until: int,
) -> Model:
    model = Model(shape, config.seed)
    layout.distribute(model, shape)
    optimizers = make_optimizers(model, config)
    do = Step(model, optimizers, config, layout)
    archive = Archive(folder, model, optimizers, config, layout, Chain(folder, store, order, config, layout))
    step = archive.restore()
    layout.reached(step)
    if step:
        say(f"continuing after step {step:,} of {config.steps:,}")
    rows = layout.agreed([row for row in read_metrics(folder / METRICS) if row["step"] <= step])
    watch = Watch(config, rows, folder, store, order, writes=layout.first)
    validation = Validation(config, shape, layout)
    metrics = Metrics(config, shape, store.component_names, Host(folder, layout.device), layout.ranks, done=step)
    with (
        stop_requests(archive.leaving_notice if layout.first else str) as stop,
        archive,
        closing(Journal(folder, after_step=step)) if layout.first else nullcontext() as journal,
        opened_logs(config, folder, rows) if layout.first else nullcontext() as log,
        progress(f"training {config.model}", config.steps) as bar,
    ):
        bar.advance(step)
        events: list[str] = do.notes
        reading = config.workers, layout.data_rank, layout.data_ranks, asked
        for step, batch in batches(store, order, step + 1, until, *reading):  # noqa: B020 - continues it
            started = time.perf_counter()
            share = share_of_rates(step, config)
            measured = do.measure(batch)
            verdict = watch.judge(step, measured, share * config.learning_rate)
            if verdict.applied:
                do.update(share)
            seconds = time.perf_counter() - started
            row = metrics.row(step, measured, share, seconds, model) | verdict.notes
            if validation.bytes and (step % config.validate_every == 0 or step == config.steps):
                row |= validation.measure(model)
            if events:
                row["events"] = events
            if journal is not None and log is not None:
                journal.write(row)  # before the state is saved: a run that continues after this step has its line
                log(row)
            leaving = layout.any(bool(stop))
            events = archive.after(step, leaving, journal)
            layout.reached(step)
            bar.advance(1, metrics.note(row))
            if leaving and step < config.steps:
                raise Interrupted(f"stopped after step {step:,} of {config.steps:,}; the same command continues there")
    return model
