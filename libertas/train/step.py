"""One step of training: the loss of a batch and its gradients, then the update."""

from dataclasses import dataclass

import torch

from libertas.model.transformer import Model
from libertas.tokenize.pack import Batch
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers
from libertas.train.parallel import Layout


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a step found out before it changed any weight."""

    loss: float
    """Mean over the batch's targets, in nats per token."""
    gradient_norm: float
    """Of all gradients together, before clipping."""


class Step:
    """Forward, backward and update of one model; the gradients of a batch stay until they are applied or dropped."""

    def __init__(self, model: Model, optimizers: Optimizers, config: TrainConfig, layout: Layout) -> None:
        """Bind the model, its optimizers and the settings."""
        self.model, self.optimizers, self.config, self.layout = model, optimizers, config, layout

    def measure(self, batch: Batch) -> Measured:
        """Compute the loss and the gradients of a batch; gradients accumulate over its micro-batches."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        tokens = torch.from_numpy(batch.tokens)
        total, targets = 0.0, tokens[:, 1:].numel()
        for part in torch.split(tokens, self.config.micro_batch):
            # The global token count: accumulation changes nothing.
            loss = self.model.loss(part[:, :-1], part[:, 1:]).sum() / targets
            extra = self.model.router_loss()
            torch.autograd.backward(loss if extra is None else loss + extra * (part[:, 1:].numel() / targets))
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        return Measured(loss=total, gradient_norm=norm)

    def update(self, share: float) -> None:
        """Apply the gradients of the last `measure`, at a share of the highest learning rates."""
        for setting, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = share * getattr(self.config, setting)
            optimizer.step()
