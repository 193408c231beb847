"""The training loop. Bits depend on the config, the tokens and the platform; not on interruptions or wall clock."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from libertas.errors import LibertasError, UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.cost import measured_peak, training_flops_per_token
from libertas.model.sizes import named_size
from libertas.model.transformer import Model
from libertas.terminal import progress, say
from libertas.tokenize.bpe import token_bytes
from libertas.tokenize.order import Order
from libertas.tokenize.pack import batches
from libertas.tokenize.store import TokenStore
from libertas.train import checkpoint
from libertas.train.config import TrainConfig
from libertas.train.journal import Journal, read_metrics
from libertas.train.optimizer import Optimizers, make_optimizers
from libertas.train.schedule import keeps_checkpoint, learning_rate

VOLATILE = ("metrics.jsonl", "checkpoints/*/manifest.json", "resume/*")
"""Files of a run that hold clocks, or depend on when it was interrupted."""

VALIDATION_SEQUENCES = 64
"""Held-out sequences measured every `validate_every` steps; `libertas evaluate` measures all of them."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    path: Path
    steps: int
    weights_hash: str


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the state was saved first."""


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
            rows = read_metrics(folder / "metrics.jsonl")
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
    model = Model(shape, config.seed)
    optimizers = make_optimizers(model, config)
    state = checkpoint.newest_state(folder / "resume")
    step = checkpoint.restore(state, model, optimizers) if state else 0
    if state is None:
        checkpoint.save_checkpoint(folder / "checkpoints", 0, model, config)
    else:
        say(f"continuing after step {step:,} of {config.steps:,}")
    validation = _Validation(config, shape)
    tokens_per_step = config.batch * shape.context
    flops_per_step = training_flops_per_token(shape, shape.context) * tokens_per_step
    peak = measured_peak()
    saved = time.monotonic()
    with (
        _stop_requests() as stop,
        closing(Journal(folder, after_step=step)) as journal,
        progress(f"training {config.model}", config.steps) as bar,
    ):
        bar.advance(step)
        for step, batch in batches(store, order, step + 1, config.steps, config.workers):  # noqa: B020 - continues it
            started = time.perf_counter()
            share = learning_rate(step, config.steps, 1.0, config.warmup, config.final_rate)
            loss, norm = _step(model, optimizers, torch.from_numpy(batch), config, share)
            seconds = time.perf_counter() - started
            if not math.isfinite(loss + norm):
                raise LibertasError(
                    f"the loss is {loss} and the gradient's norm {norm} at step {step} (learning rate "
                    f"{share * config.learning_rate:.1e}); lower learning_rate or muon_rate, and choose another --out"
                )
            row = {
                "step": step,
                "tokens": step * tokens_per_step,
                "loss": loss,
                "learning_rate": share * config.learning_rate,
                "gradient_norm": norm,
                "tokens_per_second": tokens_per_step / seconds,
                "mfu": flops_per_step / seconds / peak,
            }
            if routings := model.routings():
                row["router_balance"] = sum(float(r.balance.detach()) for r in routings) / len(routings)
                row["router_busiest"] = max(float(r.shares.max()) for r in routings)
            if validation.bytes and (step % config.validate_every == 0 or step == config.steps):
                row["validation_bits_per_byte"] = validation.bits_per_byte(model)
            journal.write(row)
            speed = f"{row['tokens_per_second']:,.0f} tok/s  mfu {row['mfu']:.0%}"
            bar.advance(1, f"loss {loss:.3f}  lr {row['learning_rate']:.1e}  {speed}")
            if keeps_checkpoint(step, config.steps, config.checkpoint_every):
                checkpoint.save_checkpoint(folder / "checkpoints", step, model, config)
            due = time.monotonic() - saved > config.save_seconds
            if due or stop or step == config.steps:
                checkpoint.save_checkpoint(folder / "resume", step, model, config, optimizers)
                checkpoint.thin_states(folder / "resume", keep=1 if step == config.steps else checkpoint.KEPT_STATES)
                saved = time.monotonic()
            if stop and step < config.steps:
                raise Interrupted(f"stopped after step {step:,} of {config.steps:,}; the same command continues there")
    return model


def _step(
    model: Model, optimizers: Optimizers, batch: Tensor, config: TrainConfig, share: float
) -> tuple[float, float]:
    """One step at a share of the highest learning rates; the mean loss in nats per token, and the gradient's norm."""
    for setting, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = share * getattr(config, setting)
        optimizer.zero_grad(set_to_none=True)
    total = 0.0
    targets = batch[:, 1:].numel()
    for part in torch.split(batch, config.micro_batch):
        loss = model.loss(part[:, :-1], part[:, 1:]).sum() / targets  # global token count: accumulation changes nothing
        extra = model.router_loss()
        torch.autograd.backward(loss if extra is None else loss + extra * (part[:, 1:].numel() / targets))
        total += float(loss.detach())
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip))
    for optimizer in optimizers.values():
        optimizer.step()
    return total, norm


class _Validation:
    """A fixed sample of held-out sequences, the same at every measurement; no bytes if nothing is held out."""

    def __init__(self, config: TrainConfig, shape: ModelConfig) -> None:
        store = TokenStore.open(config.tokens, "validation")
        length = min(shape.context, max(1, len(store) - 1))
        numbers = np.arange((len(store) - 1) // length)
        chosen = numbers[:: max(1, len(numbers) // VALIDATION_SEQUENCES)][:VALIDATION_SEQUENCES]
        positions = chosen[:, None] * length + np.arange(length + 1)
        self.tokens = torch.from_numpy(store.tokens[positions].astype(np.int64))
        self.bytes = int(token_bytes(store.tokenizer())[self.tokens[:, 1:].numpy()].sum())

    def bits_per_byte(self, model: Model) -> float:
        with torch.no_grad():
            nats = sum(float(model.loss(t[:, :-1], t[:, 1:]).sum()) for t in torch.split(self.tokens, 8))
        return nats / math.log(2) / self.bytes


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives; the loop saves and stops after the current step."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    try:
        previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are the caller's business
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
