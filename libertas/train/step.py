"""One step of training: the loss of a batch and its gradients, then the update."""

import ctypes
import sys
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from libertas.model.transformer import Model
from libertas.tokenize.pack import Batch
from libertas.train.config import TrainConfig
from libertas.train.loss import chunked_cross_entropy
from libertas.train.optimizer import Optimizers
from libertas.train.parallel import Layout

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Settings of glibc's `mallopt`, from its malloc.h."""
NEVER = 2**31 - 1
COMPONENTS = 256
"""More than their numbers, which are bytes."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a step found out before it changed any weight."""

    loss: float
    """Weighted mean over the batch's targets, in nats per token, without z-loss."""
    gradient_norm: float
    """Of all gradients together, before clipping."""
    components: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By component: sum of its weighted losses, in nats, and of its weights; empty if the batch names none."""


class Step:
    """Forward, backward and update of one model; the gradients of a batch stay until they are applied or dropped."""

    def __init__(self, model: Model, optimizers: Optimizers, config: TrainConfig, layout: Layout) -> None:
        """Bind the model, its optimizers and the settings, which decide how the model computes from now on."""
        self.model, self.optimizers, self.config, self.layout = model, optimizers, config, layout
        self.notes: list[str] = []
        """What could not be done as the settings ask, for the journal."""
        keep_memory()
        model.precision = torch.bfloat16 if config.precision == "bf16" else None
        model.recompute = config.recompute
        if config.compiled:
            self.notes += compile_blocks(model, layout.device)

    def measure(self, batch: Batch) -> Measured:
        """Compute the loss and the gradients of a batch; gradients accumulate over its micro-batches."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        own = self.layout.own_times
        tokens = torch.from_numpy(batch.tokens)
        targets = own(tokens[:, 1:])
        weights = torch.ones(targets.shape) if batch.weights is None else own(torch.from_numpy(batch.weights))
        # Divided by the global sum, so that neither micro-batches nor processes change anything. All weights may be 0.
        whole = self.layout.total(float(weights.sum(dtype=torch.float64))) or 1.0
        documents = None
        if self.config.document_masks and batch.documents is not None:
            documents = torch.split(torch.from_numpy(batch.documents)[:, :-1], self.config.micro_batch)
        parts = (torch.split(part, self.config.micro_batch) for part in (tokens[:, :-1], targets, weights / whole))
        losses = [
            self._accumulate(inputs, aims, shares, None if documents is None else documents[number])
            for number, (inputs, aims, shares) in enumerate(zip(*parts, strict=True))
        ]
        nats = (torch.cat(losses).to("cpu", torch.float64) * weights.flatten()).numpy()
        loss = self.layout.total(nats.sum()) / whole
        norm = self.layout.clip(self.model.parameters(), self.config.clip)
        return Measured(loss=loss, gradient_norm=norm, components=self._by_component(batch, nats, weights))

    def _accumulate(self, inputs: Tensor, targets: Tensor, shares: Tensor, documents: Tensor | None) -> Tensor:
        """Add the gradients of one micro-batch; its losses, in nats, one for each target."""
        device = self.layout.device
        hidden = self.model.hidden(inputs.to(device), documents=None if documents is None else documents.to(device))
        losses = chunked_cross_entropy(
            hidden.flatten(0, 1),
            *self.model.unembedding(),
            targets.flatten().to(device),
            shares.flatten().to(device),
            self.config.z_loss,
        )
        routers = self.model.router_loss()
        torch.autograd.backward(losses.total if routers is None else losses.total + routers * float(shares.sum()))
        return losses.each

    def _by_component(self, batch: Batch, nats: NDArray[np.float64], weights: Tensor) -> dict[int, tuple[float, float]]:
        if batch.components is None:
            return {}
        numbers = self.layout.own_times(torch.from_numpy(batch.components)).flatten().numpy()
        counted = (np.bincount(numbers, of_each, COMPONENTS) for of_each in (nats, weights.flatten().numpy()))
        sums, counts = (self.layout.totals(part.tolist()) for part in counted)
        return {number: pair for number, pair in enumerate(zip(sums, counts, strict=True)) if pair[1]}

    def update(self, share: float) -> None:
        """Apply the gradients of the last `measure`, at a share of the highest learning rates."""
        for setting, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = share * getattr(self.config, setting) * group.get("factor", 1.0)
            optimizer.step()


def keep_memory() -> None:
    """Have this process keep the memory that it frees, for the next step.

    A step takes and gives back the same large pieces again and again. The C library hands these to the system, which
    clears each page before it is used again: a third of a small model's step.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, NEVER)


def compile_blocks(model: Model, device: torch.device) -> list[str]:
    """Have torch compile each block when it is first used; the reason if it cannot, since then nothing is compiled."""
    try:
        torch.compile(torch.neg, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:  # what a missing compiler raises depends on the device and on what is missing
        reason = str(error).strip().splitlines()[0]
        return [f"blocks are not compiled, and training is slower: {reason[:200]}; install a C++ compiler such as g++"]
    for block in model.each_block():
        block.compile(dynamic=False)
    return []
