"""Forward and backward, local attention, and cached decoding: our transformer beside its peers, in turns.

Usage: python benchmarks/model_speed.py [STEPS] [--compile]

Three shapes of GPT-NeoX's kind (1 M, 10 M and 30 M parameters) train on random tokens; `plain` is the same network
written straight into PyTorch, as nanoGPT is, and `transformers` its GPTNeoXForCausalLM with the same weights. Local
attention runs over 8,192 positions with a window of 256 beside causal attention over all of them. Decoding adds 64
tokens to prompts of 64. Systems take turns step by step; medians over STEPS (20) steps. MFU is relative to a matrix
multiplication measured in the same run.
Prints one JSON line per system and task.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from libertas.model.attend import attend
from libertas.model.config import ModelConfig
from libertas.model.cost import measured_peak, training_flops_per_token
from libertas.model.sample import Sampling, sample
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model

STEPS = int(next((word for word in sys.argv[1:] if word.isdigit()), 20))
TOKENS = 2048
GREEDILY = {"max_new_tokens": 64, "min_new_tokens": 64, "do_sample": False, "pad_token_id": 0}
SHAPES = {"1m": (4, 128, 4, 256, 4096), "10m": (6, 384, 6, 256, 8192), "30m": (8, 512, 8, 512, 16_384)}


def shape_of(layers: int, width: int, heads: int, context: int, vocabulary: int) -> ModelConfig:
    sizes = {"layers": layers, "width": width, "heads": heads, "context": context, "vocabulary": vocabulary}
    return replace(SIZES["gpt-neox-20b"], **sizes)


class PlainBlock(nn.Module):
    """GPT-2's block, as nanoGPT writes it."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.heads = c.heads
        self.norms = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(2))
        self.qkv, self.out = nn.Linear(c.width, 3 * c.width), nn.Linear(c.width, c.width)
        self.up, self.down = nn.Linear(c.width, 4 * c.width), nn.Linear(4 * c.width, c.width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (p.view(B, T, self.heads, -1).transpose(1, 2) for p in self.qkv(self.norms[0](x)).split(D, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
        return x + self.down(F.gelu(self.up(self.norms[1](x)), approximate="tanh"))


class Plain(nn.Module):
    """GPT-2 with an output of its own, so that it has as many multiplications as the others."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(c.vocabulary, c.width), nn.Embedding(c.context, c.width)
        self.blocks = nn.ModuleList(PlainBlock(c) for _ in range(c.layers))
        self.norm, self.head = nn.LayerNorm(c.width), nn.Linear(c.width, c.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def neox(c: ModelConfig) -> Any:
    import transformers

    settings = transformers.GPTNeoXConfig(
        vocab_size=c.vocabulary,
        hidden_size=c.width,
        num_hidden_layers=c.layers,
        num_attention_heads=c.heads,
        intermediate_size=4 * c.width,
        max_position_embeddings=c.context,
        hidden_act="gelu_new",
        eos_token_id=None,
    )
    return transformers.GPTNeoXForCausalLM(settings)


def taken(systems: dict[str, Callable[[], object]], steps: int = STEPS) -> dict[str, float]:
    """Median seconds of each, taking turns in an order that moves on."""
    for run in systems.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in systems}
    names = list(systems)
    for step in range(steps):
        for place in range(len(names)):
            name = names[(step + place) % len(names)]
            started = time.perf_counter()
            systems[name]()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def training(model: nn.Module, logits: Callable[[Tensor], Tensor], c: ModelConfig) -> Callable[[], object]:
    tokens = torch.randint(0, c.vocabulary, (TOKENS // c.context, c.context + 1))

    def step() -> None:
        loss = F.cross_entropy(logits(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        model.zero_grad(set_to_none=True)

    return step


def say(task: str, system: str, seconds: float, **more: object) -> None:
    print(json.dumps({"task": task, "system": system, "seconds": round(seconds, 5), **more}), flush=True)


def train_shapes(compiled: bool) -> None:
    for name, sizes in SHAPES.items():
        c = shape_of(*sizes)
        ours, plain, theirs = Model(c), Plain(c), neox(c)
        systems = {
            "libertas": training(ours, ours, c),
            "plain": training(plain, plain, c),
            "transformers": training(theirs, lambda t, m=theirs: m(t).logits, c),
        }
        if compiled:
            systems["libertas compiled"] = training(ours, torch.compile(ours), c)
            systems["plain compiled"] = training(plain, torch.compile(plain), c)
        flops, peak = training_flops_per_token(c, c.context) * TOKENS, measured_peak()
        found = taken(systems)
        for system, seconds in found.items():
            speed, against = round(TOKENS / seconds), round(found["libertas"] / seconds, 3)
            mfu = round(flops / seconds / peak, 3)
            say(f"train {name}", system, seconds, tokens_per_second=speed, mfu=mfu, speed_to_libertas=against)


def local_attention() -> None:
    q, k, v = (torch.randn(1, 8, 8192, 64, requires_grad=True) for _ in range(3))

    def run(window: int | None) -> Callable[[], object]:
        return lambda: attend(q, k, v, window, 0.125).sum().backward()

    found = taken({"window 256": run(256), "all positions": run(None)}, max(3, STEPS // 4))
    for system, seconds in found.items():
        say("attention over 8192", system, seconds, times_faster=round(found["all positions"] / seconds, 2))


def decoding() -> None:
    c = replace(shape_of(*SHAPES["30m"]))
    ours, theirs = Model(c).eval(), neox(c).eval()
    for batch in (1, 8):
        prompts = torch.randint(0, c.vocabulary, (batch, 64))
        mask = torch.ones_like(prompts)
        found = taken(
            {
                "libertas": lambda p=prompts: sample(ours, p.tolist(), 64, Sampling(temperature=0)),
                "transformers": lambda p=prompts, m=mask: theirs.generate(p, attention_mask=m, **GREEDILY),
            },
            max(3, STEPS // 4),
        )
        for system, seconds in found.items():
            speed, times = round(64 * batch / seconds), round(found["transformers"] / seconds, 2)
            say(f"decode batch {batch}", system, seconds, tokens_per_second=speed, times_faster=times)


def main() -> None:
    torch.manual_seed(0)
    train_shapes(compiled="--compile" in sys.argv)
    local_attention()
    decoding()


if __name__ == "__main__":
    main()
