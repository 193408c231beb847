"""Rows of the journal: what a step measured, what it cost, and how fast it was."""

from collections.abc import Sequence
from typing import Any

from libertas.model.config import ModelConfig
from libertas.model.cost import measured_peak, training_flops_per_token
from libertas.model.transformer import Model
from libertas.train.config import TrainConfig
from libertas.train.host import Host, time_left
from libertas.train.step import Measured


class Metrics:
    """Makes the rows of one process's part of a training."""

    def __init__(
        self, config: TrainConfig, shape: ModelConfig, components: Sequence[str], host: Host, ranks: int, done: int
    ) -> None:
        """Measure the machine's peak.

        Args:
            config: of the training.
            shape: of the model.
            components: names of the store's components.
            host: that it runs on.
            ranks: processes that train together.
            done: steps that were done before this process began.
        """
        self.config, self.components, self.host, self.done = config, components, host, done
        self.tokens = config.batch * shape.context
        self.flops = training_flops_per_token(shape, shape.context) * self.tokens
        device = host.device.type
        self.peak = ranks * measured_peak(device=device, precision="fp32" if device == "cpu" else config.precision)

    def row(self, step: int, measured: Measured, share: float, seconds: float, model: Model) -> dict[str, Any]:
        """What is known of a step that took some seconds, at a share of the highest learning rates."""
        row: dict[str, Any] = {
            "step": step,
            "tokens": step * self.tokens,
            "loss": measured.loss,
            "learning_rate": share * self.config.learning_rate,
            "gradient_norm": measured.gradient_norm,
            "tokens_per_second": self.tokens / seconds,
            "mfu": self.flops / seconds / self.peak,
            **self.host.facts(step),
        }
        if measured.components:
            by_number = measured.components.items()
            row["component_loss"] = {self.components[number]: nats / weight for number, (nats, weight) in by_number}
        if routings := model.routings():
            row["router_balance"] = sum(float(r.balance.detach()) for r in routings) / len(routings)
            row["router_dropped"] = sum(r.dropped for r in routings) / len(routings)
            row["router_busiest"] = max(float(r.shares.max()) for r in routings)
        return row

    def note(self, row: dict[str, Any]) -> str:
        """The row as the end of a progress line, with the time that is left."""
        left = time_left(row["step"] - self.done, row["seconds"], self.config.steps - row["step"])
        speed = f"{row['tokens_per_second']:,.0f} tok/s  mfu {row['mfu']:.0%}"
        return f"loss {row['loss']:.3f}  lr {row['learning_rate']:.1e}  {speed}  {left} left"
