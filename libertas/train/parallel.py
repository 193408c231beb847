"""How a training is spread over processes: who this one is, what its part is, and how all of them agree.

`torchrun` starts the processes and tells each its rank. Without it there is one process, and nothing here is in its
way. Processes stand in a mesh of replicas x shards x tensor. Those along `tensor` share each matrix and read the same
sequences; all others read different ones.
"""

import gc
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from libertas import terminal
from libertas.errors import LibertasError, UsageError
from libertas.model.config import ModelConfig
from libertas.train.config import TrainConfig
from libertas.train.stopping import Interrupted

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from libertas.train.heartbeat import Heartbeat

CPU = torch.device("cpu")
MESH = ("replicas", "shards", "tensor")
"""Names of the mesh's dimensions; the last one's processes are neighbours, since they talk most."""
LONGEST_WAIT = timedelta(hours=1)
"""How long a process waits for the others in one exchange: the first one may be checking tokens, or saving. Processes
that are gone are noticed much sooner, by their heartbeat."""
STORE_WAIT = timedelta(seconds=30)
"""How long a heartbeat waits for the launcher's store."""
SETTLING_SECONDS = 0.5
"""Pause after the last exchange. gloo's threads let go of its tensors a little later; if Python has begun to end by
then, the process aborts at its very end (https://github.com/pytorch/pytorch/pull/179291)."""
CLIP_EPSILON = 1e-6
"""Added to the norm when gradients are clipped, as `torch.nn.utils.clip_grad_norm_` does."""
_joins = count()
"""Each group of processes that this one joins has keys of its own in the launcher's store."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One process's place in a training. By default it is alone."""

    rank: int = 0
    ranks: int = 1
    tensor: int = 1
    """Processes that share each matrix."""
    replicas: int = 1
    """Whole copies of the model."""
    device: torch.device = CPU
    mesh: "DeviceMesh | None" = None
    heartbeat: "Heartbeat | None" = None
    orders: dict[str, Tensor] = field(default_factory=dict)
    """Parameters whose rows were put into another order for tensor parallelism, and where each row came from."""

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which share of each batch's sequences this process reads."""
        return self.rank // self.tensor

    @property
    def data_ranks(self) -> int:
        """In how many shares the sequences of a batch are read."""
        return self.ranks // self.tensor

    def own_times(self, x: Tensor) -> Tensor:
        """The positions, shape (B, T, ...), that this process computes alone: all, or its part of tensor parallelism.

        Between the matrices that they share, tensor-parallel processes work on a part of the positions each.
        """
        if self.tensor == 1:
            return x
        length = x.shape[1] // self.tensor
        return x.narrow(1, self.rank % self.tensor * length, length)

    def total(self, part: float) -> float:
        """The sum over all processes of what each one computed from its own sequences and positions."""
        return self.totals([part])[0]

    def totals(self, parts: Sequence[float]) -> list[float]:
        """The sum over all processes of each number; one exchange for all of them."""
        if self.ranks == 1:
            return list(parts)
        sums = torch.tensor(parts, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(sums)
        return [float(number) for number in sums.tolist()]

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all of them get the same answer."""
        return self.total(float(flag)) > 0

    def agreed(self, value: Any) -> Any:
        """What the first process holds; all wait for it."""
        if self.ranks == 1:
            return value
        box = [value if self.first else None]
        torch.distributed.broadcast_object_list(box, src=0, device=CPU)
        return box[0]

    def reached(self, step: int) -> None:
        """Note the step that was done, for the message of those who miss this process."""
        if self.heartbeat is not None:
            self.heartbeat.step = step

    def distribute(self, model: nn.Module, shape: ModelConfig) -> None:
        """Move a model to where it is trained, before its optimizers exist.

        All processes have built it alike; each keeps its part.
        """
        if self.ranks == 1:
            model.to(self.device)
        else:
            from libertas.train.shards import distribute

            distribute(model, shape, self)

    def settle(self, model: nn.Module) -> None:
        """After a forward pass without a backward one: give up the parameters that were gathered for it."""
        if self.ranks > 1:
            from libertas.train.shards import settle

            settle(model)

    def clip(self, parameters: Iterable[Tensor], largest: float) -> float:
        """Finish the gradients, scale them to a global norm of at most `largest`, and return the norm before that."""
        if self.ranks == 1:
            return float(torch.nn.utils.clip_grad_norm_(parameters, largest))
        from libertas.train.shards import global_norm, local

        found = [p for p in parameters if p.grad is not None]
        norm = global_norm(found, self)
        torch._foreach_mul_([local(p.grad) for p in found], min(1.0, largest / (norm + CLIP_EPSILON)))
        return norm

    def gathered(self, name: str, tensor: Tensor) -> Tensor:
        """The whole, logical tensor of a parameter or of its optimizer's state; every process must ask for it.

        Args:
            name: the parameter's, such as `blocks.0.norm.weight`; what follows a slash is ignored.
            tensor: this process's part.
        """
        if self.ranks == 1:
            return tensor
        from libertas.train.shards import whole_tensor

        return whole_tensor(tensor, self.orders.get(name.partition("/")[0]))

    def placed(self, name: str, logical: Tensor, parameter: Tensor) -> Tensor:
        """The inverse of `gathered`: this process's part of a logical tensor, laid out as `parameter` is."""
        if self.ranks == 1:
            return logical
        from libertas.train.shards import place

        return place(logical, parameter, self.orders.get(name.partition("/")[0]))

    def require_equal_copies(self, tensors: dict[str, Tensor]) -> None:
        """See that what several processes hold a copy of is the same in all of them, to the bit.

        Raises:
            LibertasError: it is not; the tensor and the processes are named.
        """
        if self.ranks > 1:
            from libertas.train.shards import require_equal_copies

            require_equal_copies(tensors, self)


ALONE = Layout()
"""The layout of one process."""


@contextmanager
def joined_processes(config: TrainConfig) -> Iterator[Layout]:
    """Join the processes that the launcher started, for as long as the training lasts.

    Raises:
        UsageError: the processes cannot be laid out as the settings ask.
        LibertasError: another process is gone.
    """
    environment = os.environ
    ranks = int(environment.get("WORLD_SIZE", "1")) if "RANK" in environment and "MASTER_ADDR" in environment else 1
    _require_mesh(config, ranks)
    if ranks == 1:
        yield Layout(device=_device_of(config, 0))
        return
    from libertas.train.heartbeat import time_to_speak

    rank = int(environment["RANK"])
    if rank:  # what a person reads comes from the first process; errors come from all
        terminal.stderr.quiet = terminal.stdout.quiet = True
    with time_to_speak():
        heartbeat = _connect(config, rank, ranks)
        try:
            yield _layout(config, rank, ranks, heartbeat)
            torch.distributed.barrier()
        except Interrupted as stopped:  # all of them, after the same step
            _part(heartbeat)
            if rank:
                sys.exit(stopped.exit_status)
            raise
        except BaseException as error:
            missing = heartbeat.missing() if isinstance(error, RuntimeError) else None  # as failed exchanges are
            heartbeat.stop(f"rank {rank} of {ranks} stopped: {type(error).__name__}: {error}")
            if missing:
                raise LibertasError(missing) from error
            if rank and isinstance(error, LibertasError):
                sys.exit(1)  # the first process says the same, or quotes it
            raise
        _part(heartbeat)


def _part(heartbeat: "Heartbeat") -> None:
    heartbeat.stop()
    torch.distributed.destroy_process_group()
    gc.collect()  # the model's cycles hold groups, and these hold threads
    time.sleep(SETTLING_SECONDS)


def _require_mesh(config: TrainConfig, ranks: int) -> None:
    if ranks % (config.tensor * config.replicas):
        raise UsageError(
            f"tensor is {config.tensor} and replicas is {config.replicas}, for {ranks} process{'es' * (ranks > 1)}; "
            "expected a product that divides the number of processes, which is set by "
            "`torchrun --nproc-per-node N -m libertas train`"
        )


def _device_of(config: TrainConfig, local_rank: int) -> torch.device:
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise UsageError("device is 'cuda', and torch finds no GPU here; expected 'cpu' or 'auto'")
    return torch.device("cuda", local_rank) if found and config.device != "cpu" else CPU


def _connect(config: TrainConfig, rank: int, ranks: int) -> "Heartbeat":
    """Start this process's heartbeat and join the group, through the launcher's store."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # they are public

    from libertas.train.heartbeat import Heartbeat

    environment = os.environ
    host, port = environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
    hosting = rank == 0 and environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    prefix = f"libertas/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}/{next(_joins)}"
    group = TCPStore(host, port, ranks, is_master=hosting, timeout=LONGEST_WAIT, multi_tenant=True)
    beats = TCPStore(host, port, ranks, is_master=False, timeout=STORE_WAIT)  # of its own: the other one may be waiting
    heartbeat = Heartbeat(PrefixStore(f"{prefix}/beats", beats), rank, ranks, str(config.out))
    on_gpu = _device_of(config, int(environment.get("LOCAL_RANK", "0"))).type == "cuda"
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    store = PrefixStore(f"{prefix}/group", group)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=LONGEST_WAIT)
    return heartbeat


def _layout(config: TrainConfig, rank: int, ranks: int, heartbeat: "Heartbeat") -> Layout:
    from torch.distributed.device_mesh import init_device_mesh

    device = _device_of(config, int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    sizes = (config.replicas, ranks // config.replicas // config.tensor, config.tensor)
    return Layout(
        rank=rank,
        ranks=ranks,
        tensor=config.tensor,
        replicas=config.replicas,
        device=device,
        mesh=init_device_mesh(device.type, sizes, mesh_dim_names=MESH),
        heartbeat=heartbeat,
    )


def require_fitting(config: TrainConfig, shape: ModelConfig, layout: Layout) -> None:
    """Refuse a training that these processes cannot share out, before it begins.

    Raises:
        UsageError: what does not divide, and by what.
    """
    at_once = layout.data_ranks * config.micro_batch
    if config.batch % at_once:
        raise UsageError(
            f"batch is {config.batch}, which {layout.data_ranks} processes with different data, of micro_batch "
            f"{config.micro_batch}, do not divide; expected a multiple of {at_once}"
        )
    if layout.ranks > 1 and config.optimizer == "adafactor":
        raise UsageError(
            "optimizer is 'adafactor', which needs the rows and columns of whole matrices; expected muon or adamw "
            f"for {layout.ranks} processes"
        )
    if layout.tensor > 1:
        _require_splittable(shape, layout.tensor)


def _require_splittable(shape: ModelConfig, tensor: int) -> None:
    sizes = {"heads": shape.heads, "key_heads": shape.groups, "hidden": shape.hidden_width, "context": shape.context}
    for name, size in sizes.items():
        if size % tensor:
            raise UsageError(f"tensor is {tensor}, which does not divide the model's {name}, {size}; choose another")
    for name, there in (("experts", shape.experts), ("sinks", shape.sinks)):
        if there:
            raise UsageError(f"tensor is {tensor}, for a model with {name}, which are not split; expected 1")
