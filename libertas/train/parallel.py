"""How a training is spread over processes: who this one is, and where its numbers live."""

from dataclasses import dataclass

import torch

from libertas.train.config import TrainConfig

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One process's place in a training."""

    rank: int = 0
    ranks: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0


def layout_of(config: TrainConfig) -> Layout:
    """The layout that the settings and the launcher's environment ask for."""
    return Layout()
