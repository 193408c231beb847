"""A model in parts: FSDP2 over the processes with different data, DTensor's tensor parallelism over the others.

Of a matrix that is split over `tensor` processes, each keeps the rows (of the first one of attention and feed-forward)
or the columns (of the second one) of its own heads or hidden numbers (Shoeybi et al. 2019). Everything else works on
the process's own part of the positions, norms and loss included (sequence parallelism, Korthikanti et al. 2022): its
gradients are sums over a part of the positions, so `global_norm` first adds them up over `tensor`.

Checkpoints never show any of this: they hold logical tensors.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from libertas.errors import LibertasError
from libertas.lineage.fingerprint import digest
from libertas.model.config import ModelConfig
from libertas.model.transformer import Block, Model
from libertas.train.muon import orthogonalized
from libertas.train.parallel import Layout


def distribute(model: nn.Module, shape: ModelConfig, layout: Layout) -> None:
    """Cut a model that every process has built alike; afterwards its parameters are DTensors."""
    assert isinstance(model, Model), type(model)
    assert layout.mesh is not None
    # It warns that the row-split matrices are gathered in two exchanges; this happens at saves and in Muon alone.
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    if layout.tensor > 1:
        for layer, block in enumerate(model.each_block()):
            _split_block(block, f"blocks.{layer}", shape, layout)
        model.blocks[0].register_forward_pre_hook(lambda block, given: (layout.own_times(given[0]), *given[1:]))
    data = layout.mesh["replicas", "shards"] if layout.replicas > 1 else layout.mesh["shards"]
    for part in (*model.each_block(), model):
        fully_shard(part, mesh=data)
        assert isinstance(part, FSDPModule)
        part.set_gradient_divide_factor(1.0)  # losses are divided by the global count already: gradients are summed
        part.set_force_sum_reduction_for_comms(True)  # gloo has nothing but sums
    for method in ("hidden", "loss"):
        register_fsdp_forward_method(model, method)


def settle(model: nn.Module) -> None:
    """Let go of the embeddings, which stay gathered from a forward pass until the backward pass after it."""
    assert isinstance(model, FSDPModule)
    model.reshard()


def _split_block(block: Block, name: str, shape: ModelConfig, layout: Layout) -> None:
    """Split the four matrices of a block; each process gets whole heads, and of gated parts both halves."""
    assert layout.mesh is not None
    attention = block.attention
    hidden = [shape.hidden_width] * (1 + shape.gated)
    for matrix, widths, place in (
        (attention.qkv, attention.widths, "attention.qkv"),
        (block.feed_forward.up, hidden, "feed_forward.up"),
    ):
        assert isinstance(matrix, nn.Linear)
        order = split_order(widths, layout.tensor)
        for kind, parameter in matrix.named_parameters():
            parameter.data = parameter.data[order]
            layout.orders[f"{name}.{place}.{kind}"] = order.to(layout.device)
    first, second = ColwiseParallel(input_layouts=Shard(1)), RowwiseParallel(output_layouts=Shard(1))
    plan: dict[str, Any] = {
        "attention.qkv": first,
        "attention.out": second,
        "feed_forward.up": first,
        "feed_forward.down": second,
    }
    parallelize_module(block, layout.mesh["tensor"], plan, src_data_rank=None)
    if layout.device.type == "cpu":
        for name in ("attention.qkv", "feed_forward.up"):
            block.get_submodule(name).register_forward_pre_hook(_await_gradient, prepend=True)
        for name in ("attention.out", "feed_forward.down"):
            block.get_submodule(name).register_forward_hook(_await_output)
    attention.widths = tuple(width // layout.tensor for width in attention.widths)  # type: ignore[assignment]
    if attention.fall is not None:
        heads = shape.heads // layout.tensor
        attention.fall = attention.fall.narrow(0, layout.rank % layout.tensor * heads, heads)


def _await_gradient(matrix: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Hand a matrix its input as a tensor of its own, whose gradient is waited for before anything else begins.

    Attention and feed-forward that stand side by side would otherwise exchange numbers at the same time. In torch 2.13
    the two threads of a gloo group note the name of what they do in one string, without a lock; now and then one frees
    it while the other writes, and the process aborts in its next allocation.
    """
    own = given[0].view_as(given[0])
    if own.requires_grad:
        own.register_hook(_await)  # type: ignore[no-untyped-call]
    return own, *given[1:]


def _await_output(matrix: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
    _await(out)


def _await(tensor: Tensor) -> None:
    if isinstance(tensor, AsyncCollectiveTensor):
        tensor.trigger_wait()  # type: ignore[no-untyped-call]


def split_order(widths: Sequence[int], parts: int) -> Tensor:
    """Where each row comes from when matrices stacked as [Q; K; V] become [Q1; K1; V1; Q2; K2; V2; ...].

    Args:
        widths: rows of each matrix of the stack.
        parts: number of processes; it divides every width.
    """
    starts = [sum(widths[:n]) for n in range(len(widths))]
    return torch.cat(
        [
            torch.arange(start + part * (width // parts), start + (part + 1) * (width // parts))
            for part in range(parts)
            for start, width in zip(starts, widths, strict=True)
        ]
    )


def local(tensor: Tensor | None) -> Tensor:
    """The numbers that lie in this process."""
    assert tensor is not None
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_tensor(tensor: Tensor, order: Tensor | None = None) -> Tensor:
    """The logical tensor, in every process; `order` is where its rows came from."""
    whole = tensor.detach()
    if isinstance(whole, DTensor):
        whole = whole.full_tensor()
    if order is None or whole.ndim == 0:
        return whole
    logical = torch.empty_like(whole)
    logical[order] = whole
    return logical


def place(logical: Tensor, parameter: Tensor, order: Tensor | None = None) -> Tensor:
    """This process's part of a logical tensor as large as a parameter; other tensors, such as counters, stay whole."""
    logical = logical.to(parameter.device)
    if not isinstance(parameter, DTensor) or logical.shape != parameter.shape:
        return logical
    rows = logical if order is None else logical[order]
    return distribute_tensor(rows.detach(), parameter.device_mesh, parameter.placements, src_data_rank=None)


def _split_over_tensor(parameter: Tensor) -> bool:
    assert isinstance(parameter, DTensor)
    return "tensor" in (parameter.device_mesh.mesh_dim_names or ())


def _copies(parameter: Tensor, layout: Layout) -> int:
    """How many processes hold the same numbers of a parameter."""
    assert isinstance(parameter, DTensor)
    mesh, copies = parameter.device_mesh, 1 if _split_over_tensor(parameter) else layout.tensor
    for dimension, placement in enumerate(parameter.placements):
        copies *= mesh.size(dimension) if isinstance(placement, Replicate) else 1
    return copies


def global_norm(parameters: Sequence[Tensor], layout: Layout) -> float:
    """Add up the gradients that are sums over a part of the positions; then the norm of all gradients together."""
    assert layout.mesh is not None
    if layout.tensor > 1:
        parts = [local(p.grad) for p in parameters if not _split_over_tensor(p)]
        flat = torch.cat([part.flatten() for part in parts])
        torch.distributed.all_reduce(flat, group=layout.mesh.get_group("tensor"))
        for part, total in zip(parts, torch.split(flat, [part.numel() for part in parts]), strict=True):
            part.copy_(total.view_as(part))
    norms = torch.stack(torch._foreach_norm([local(p.grad) for p in parameters])).double()
    copies = torch.tensor([_copies(p, layout) for p in parameters], dtype=torch.float64, device=norms.device)
    return float(layout.total(float((norms.square() / copies).sum())) ** 0.5)


def require_equal_copies(tensors: dict[str, Tensor], layout: Layout) -> None:
    """See that every process which holds the same part of a tensor holds the same bits."""
    mine = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, DTensor) and _copies(tensor, layout) > 1:
            own = local(tensor).detach().cpu().contiguous().view(torch.uint8)
            mine[name] = (_part_of(tensor), digest(own.numpy().tobytes()))
    everyone: list[Any] = [None] * layout.ranks
    torch.distributed.all_gather_object(everyone, mine)
    for name, (part, ours) in mine.items():
        for rank, theirs in enumerate(everyone):
            if theirs[name][0] == part and theirs[name][1] != ours:
                raise LibertasError(
                    f"{name} is not the same in rank {layout.rank} and rank {rank}, which hold copies of it; nothing "
                    "was saved; check the memory of their machines, and run the same command again"
                )


def _part_of(tensor: DTensor) -> tuple[int, ...]:
    """Where this process's part of a tensor lies among its parts."""
    coordinate = tensor.device_mesh.get_coordinate() or ()
    return tuple(
        place for place, kind in zip(coordinate, tensor.placements, strict=True) if not isinstance(kind, Replicate)
    )


def orthogonalized_parts(averages: Sequence[Tensor]) -> list[Tensor]:
    """What `orthogonalized` makes of matrices of one shape, or of stacks of them, that are spread over the processes.

    Every process gathers them all, works on its share, and keeps its part of each result. Rows may stand in any order:
    those of the result stand in the same one.
    """
    moving = torch.stack([whole_tensor(average) for average in averages])
    matrices_NRC = moving.flatten(0, -3)
    rank, ranks, total = torch.distributed.get_rank(), torch.distributed.get_world_size(), len(matrices_NRC)
    share = -(-total // ranks)
    own = matrices_NRC[rank * share : (rank + 1) * share]
    done = matrices_NRC.new_zeros(share, *matrices_NRC.shape[1:])
    if len(own):
        done[: len(own)] = orthogonalized(own)
    everyone = done.new_empty(ranks * share, *done.shape[1:])
    torch.distributed.all_gather(list(everyone.chunk(ranks)), done)
    updates = everyone[:total].view_as(moving)
    return [place(update, average) for update, average in zip(updates, averages, strict=True)]
