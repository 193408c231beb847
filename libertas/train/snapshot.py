"""The numbers of a training at one moment, copied so that training goes on while they are written.

Every tensor that leaves a training passes `Layout.gathered`, in `_logical`, and every one that comes back passes
`Layout.placed`: files always hold whole tensors, whatever the processes that wrote them shared among themselves.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from blake3 import blake3
from torch import Tensor

from libertas.lineage.fingerprint import HASH_PREFIX, digest
from libertas.model.transformer import Model
from libertas.train.optimizer import Optimizers, load_state_tensors, state_tensors
from libertas.train.parallel import ALONE, Layout

COPIED_SHARE = 0.25
"""Of the machine's memory: a larger state is written from where it lies, while training waits."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Weights, and the optimizer's state if training is to continue from here."""

    step: int
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor] | None
    shape: dict[str, object]
    """Of the model, as `model.json` has it."""

    @property
    def parameters(self) -> int:
        """Numbers in the weights."""
        return sum(tensor.numel() for tensor in self.weights.values())

    def without_state(self) -> "Snapshot":
        """The weights alone."""
        return replace(self, optimizer=None)


def live_snapshot(step: int, model: Model, optimizers: Optimizers | None) -> Snapshot:
    """A snapshot that copies nothing: it is true until the next update, and whole if one process trains."""
    state = None if optimizers is None else state_tensors(model, optimizers)
    return Snapshot(step=step, weights=dict(model.state_dict()), optimizer=state, shape=model.config.to_json())


class Copies:
    """Snapshots in memory of their own, which each uses again: only the newest is true."""

    def __init__(self, model: Model, optimizers: Optimizers | None, layout: Layout = ALONE) -> None:
        """Bind what is copied; the first process keeps the copies, the others help to gather."""
        self.model, self.optimizers, self.layout = model, optimizers, layout
        self._memory: dict[str, Tensor] = {}

    def take(self, step: int, whole: bool) -> Snapshot:
        """Copy the weights, and with `whole` the optimizer's state as well.

        Raises:
            LibertasError: processes that hold copies of one tensor have different ones.
        """
        live = live_snapshot(step, self.model, self.optimizers if whole else None)
        self.layout.require_equal_copies(dict(live.weights))
        weights = {name: self._copied("weights", name, tensor) for name, tensor in live.weights.items()}
        state = {name: self._copied("state", name, tensor) for name, tensor in (live.optimizer or {}).items()}
        return Snapshot(step=step, weights=weights, optimizer=state if whole else None, shape=live.shape)

    def _copied(self, kind: str, name: str, tensor: Tensor) -> Tensor:
        logical = self.layout.gathered(name, tensor.detach())
        if not self.layout.first:
            return logical.new_empty(0)
        key = f"{kind} {name}"
        if key not in self._memory:  # memory that was used before is filled in a third of the time
            self._memory[key] = torch.empty(logical.shape, dtype=logical.dtype)
        return self._memory[key].copy_(logical)


def fits_in_memory(size: int) -> bool:
    """Whether a copy of so many bytes may lie in memory beside the training."""
    return size <= COPIED_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def put_weights(model: Model, weights: Mapping[str, Tensor], layout: Layout = ALONE) -> None:
    """Set a model's weights, each from a whole tensor; `weights` may read them one by one."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(layout.placed(name, weights[name], tensor))


def put_state(model: Model, optimizers: Optimizers, state: Mapping[str, Tensor], layout: Layout = ALONE) -> None:
    """Set the optimizers' state from whole tensors."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    parts: dict[str, Tensor] = {}
    for key, tensor in state.items():
        parameter = parameters[key.rpartition("/")[0]]
        parts[key] = layout.placed(key, tensor.to(parameter.device), parameter)
    load_state_tensors(model, optimizers, parts)


def tensor_digest(tensor: Tensor) -> str:
    """BLAKE3 of a tensor's bytes, tagged."""
    numbers = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    return HASH_PREFIX + blake3(numbers.data).hexdigest()


def combined_digest(digests: Mapping[str, str]) -> str:
    """One hash over named tensors, independent of the files that hold them."""
    return digest("".join(f"{name} {found}\n" for name, found in sorted(digests.items())).encode())


def weights_hash(weights: Mapping[str, Tensor], layout: Layout = ALONE) -> str:
    """One hash over all weights, independent of how they are stored and shared out; every process must ask for it."""
    return combined_digest({name: tensor_digest(layout.gathered(name, t)) for name, t in weights.items()})
