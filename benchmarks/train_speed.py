"""Optimizer steps per second on this machine's CPU: our training beside its peers, step by step in turns.

Usage: python benchmarks/train_speed.py [STEPS] [--shapes 1m,10m,30m] [--systems NAME,...] [--threads 2]
           [--litgpt PYTHON]

Each system is a process of its own, with its own memory and threads, that trains when it is its turn and sleeps
otherwise; the order moves on at each round, and medians over STEPS (20) steps count. All of a kind start from the same
weights and read the same batches of 2,048 tokens, with the same AdamW, clipping and precision (fp32, as many threads):

    gpt2   `libertas`, `nanogpt` (the same network written straight into PyTorch, trained as nanoGPT does), and
           `transformers` (its Trainer and its GPT2LMHeadModel)
    neox   `libertas-neox`, `litgpt` (its GPT with Pythia's block, trained as its pretraining does), and
           `transformers-neox` (its GPTNeoXForCausalLM); they have rotary positions and an output of their own, and as
           many matrix multiplications as the others

`-compiled` means torch.compile as the peer uses it (the whole network), and `compiled = true` for ours. litgpt is
imported by the Python that `--litgpt` names, and left out without one.
Prints a line of JSON for each system and shape: medians of a whole step and of forward and backward alone, how many
times faster ours is (that of the same kind, uncompiled), the largest difference of the first ten losses, and
model-FLOPs utilization, of the fastest square matrix multiplication that was measured in between, and of the one that
torch uses by itself.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPES = {"1m": (4, 128, 4, 256, 4096), "10m": (6, 384, 6, 256, 8192), "30m": (8, 512, 8, 512, 16_384)}
"""Layers, width, heads, context, vocabulary."""
TOKENS, RATE, DECAY, BETA2, CLIP, THREADS = 2048, 6e-4, 0.1, 0.95, 1.0, 2
WARM_UP, COMPARED = 3, 10
SYSTEMS = (
    "libertas", "libertas-compiled", "nanogpt", "nanogpt-compiled", "transformers",
    "libertas-neox", "litgpt", "litgpt-compiled", "transformers-neox",
)  # fmt: skip
Weights = dict[str, Tensor]
Step = Callable[[Tensor], tuple[float, float]]
"""Trains on a batch; returns its loss, and the seconds of forward and backward."""


def is_neox(system: str) -> bool:
    return system.endswith("neox") or system.startswith("litgpt")


def batch_of(step: int, shape: str) -> Tensor:
    context, vocabulary = SHAPES[shape][3:]
    return torch.randint(0, vocabulary, (TOKENS // context, context + 1), generator=torch.Generator().manual_seed(step))


def our_shape(shape: str, neox: bool) -> Any:
    from dataclasses import replace

    from libertas.model.sizes import SIZES

    names = ("layers", "width", "heads", "context", "vocabulary")
    sizes = dict(zip(names, SHAPES[shape], strict=True))
    return replace(SIZES["pythia-70m" if neox else "gpt2"], **sizes, activation="gelu")


def libertas(shape: str, weights: Weights, neox: bool, compiled: bool) -> Step:
    from libertas.model.transformer import Model
    from libertas.tokenize.pack import Batch
    from libertas.train.config import TrainConfig
    from libertas.train.optimizer import make_optimizers
    from libertas.train.parallel import Layout
    from libertas.train.step import Step as OurStep

    model = Model(our_shape(shape, neox), seed=None)
    model.load_state_dict(weights)
    config = TrainConfig(
        tokens=Path("t"), out=Path("o"), optimizer="adamw", compiled=compiled, learning_rate=RATE, weight_decay=DECAY,
        beta2=BETA2, clip=CLIP, batch=TOKENS // SHAPES[shape][3], micro_batch=TOKENS // SHAPES[shape][3],
    )  # fmt: skip
    step = OurStep(model, make_optimizers(model, config), config, Layout())
    assert not step.notes, step.notes

    def run(batch: Tensor) -> tuple[float, float]:
        started = time.perf_counter()
        loss = step.measure(Batch(batch.numpy())).loss
        seconds = time.perf_counter() - started  # with the norm of the gradient
        step.update(1.0)
        return loss, seconds

    return run


class PlainBlock(nn.Module):
    """GPT-2's block, as nanoGPT writes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width)})
        self.feed_forward = nn.ModuleDict({"up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = self.attention["qkv"](self.norm_attention(x)).split(D, dim=2)
        q, k, v = (part.view(B, T, self.heads, D // self.heads).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention["out"](y.transpose(1, 2).contiguous().view(B, T, D))
        return x + self.feed_forward["down"](F.gelu(self.feed_forward["up"](self.norm_feed_forward(x))))


class Plain(nn.Module):
    """GPT-2 with tied embeddings; it returns the loss, as nanoGPT's does."""

    def __init__(self, layers: int, width: int, heads: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(PlainBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-1)


def decay_groups(model: nn.Module, positions: str) -> list[dict[str, Any]]:
    decayed = {n: p.ndim > 1 and n != positions for n, p in model.named_parameters()}
    return [
        {"params": [p for n, p in model.named_parameters() if decayed[n] == which], "weight_decay": DECAY * which}
        for which in (True, False)
    ]


def plain_loop(model: nn.Module, loss_of: Callable[[Tensor], Tensor], positions: str = "") -> Step:
    """The loop of nanoGPT and of litgpt's pretraining; on a CPU neither asks for a fused AdamW."""
    optimizer = torch.optim.AdamW(decay_groups(model, positions), lr=RATE, betas=(0.9, BETA2))

    def run(batch: Tensor) -> tuple[float, float]:
        started = time.perf_counter()
        loss = loss_of(batch)
        loss.backward()
        seconds = time.perf_counter() - started
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item(), seconds

    return run


def nanogpt(shape: str, weights: Weights, compiled: bool) -> Step:
    model = Plain(*SHAPES[shape])
    model.load_state_dict(weights)
    forward = torch.compile(model) if compiled else model
    return plain_loop(model, lambda batch: forward(batch[:, :-1], batch[:, 1:]), "positions.weight")


def litgpt(shape: str, weights: Weights, compiled: bool) -> Step:
    from litgpt.model import GPT, Config
    from litgpt.utils import chunked_cross_entropy

    layers, width, heads, context, vocabulary = SHAPES[shape]
    model = GPT(
        Config(
            block_size=context, vocab_size=vocabulary, padded_vocab_size=vocabulary, n_layer=layers, n_head=heads,
            n_embd=width, rotary_percentage=0.25, parallel_residual=True, bias=True, norm_class_name="LayerNorm",
            mlp_class_name="GptNeoxMLP", intermediate_size=4 * width,
        )
    )  # fmt: skip
    names = {
        "embedding.": "transformer.wte.", "logits.": "lm_head.", "blocks.": "transformer.h.",
        "norm_attention": "norm_1", "norm_feed_forward": "norm_2", "attention.qkv": "attn.qkv",
        "attention.out": "attn.proj",
        "feed_forward.up": "mlp.fc", "feed_forward.down": "mlp.proj",
    }  # fmt: skip
    renamed = {}
    for name, weight in weights.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        renamed[f"transformer.ln_f{name[4:]}" if name.startswith("norm.") else name] = weight
    model.load_state_dict(renamed)
    forward = torch.compile(model) if compiled else model
    return plain_loop(model, lambda b: chunked_cross_entropy(forward(b[:, :-1]), b[:, 1:].contiguous(), chunk_size=0))


def of_transformers(shape: str, weights: Weights, neox: bool) -> Any:
    """Its model with our weights."""
    import transformers

    layers, width, heads, context, vocabulary = SHAPES[shape]
    names = {
        "embedding.": "transformer.wte.", "positions.": "transformer.wpe.", "blocks.": "transformer.h.",
        "norm_attention": "ln_1", "norm_feed_forward": "ln_2", "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj", "feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj",
        "last.": "transformer.ln_f.",
    }  # fmt: skip
    if neox:
        names = {
            "embedding.": "gpt_neox.embed_in.", "logits.": "lm_head.", "blocks.": "gpt_neox.layers.",
            "norm_attention": "input_layernorm", "norm_feed_forward": "post_attention_layernorm",
            "attention.qkv": "attention.query_key_value", "attention.out": "attention.dense",
            "feed_forward.up": "mlp.dense_h_to_4h", "feed_forward.down": "mlp.dense_4h_to_h",
            "last.": "gpt_neox.final_layer_norm.",
        }  # fmt: skip
        settings = transformers.GPTNeoXConfig(
            vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=4 * width, max_position_embeddings=context, hidden_act="gelu", eos_token_id=None,
        )  # fmt: skip
        model: Any = transformers.GPTNeoXForCausalLM(settings)
    else:
        settings = transformers.GPT2Config(
            vocab_size=vocabulary, n_positions=context, n_embd=width, n_layer=layers, n_head=heads, bos_token_id=0,
            eos_token_id=0, activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(settings)
    for name, weight in weights.items():
        if neox and "qkv" in name:  # its rows are sorted by heads first
            weight = weight.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2)
        if not neox and weight.ndim == 2 and name.startswith("blocks"):  # its matrices are Conv1D
            weight = weight.t()
        name = name.replace("norm.", "last.") if name.startswith("norm.") else name
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        model.get_parameter(name).data.copy_(weight)
    return model


def transformers_trainer(shape: str, weights: Weights, neox: bool) -> None:
    """The Trainer owns its loop, so that the turns are taken inside of it."""
    import transformers

    context, model = SHAPES[shape][3], of_transformers(shape, weights, neox)

    class Sequences(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            for step in range(10**6):
                for row in batch_of(step, shape):
                    yield {"input_ids": row[:-1], "labels": row[:-1], "shift_labels": row[1:]}

    class Turns(transformers.Trainer):
        def training_step(self, *given: Any, **named: Any) -> Tensor:
            wait()
            self.started = time.perf_counter()
            self.loss = super().training_step(*given, **named)
            self.forward_and_backward = time.perf_counter() - self.started
            return self.loss

    class Reports(transformers.TrainerCallback):
        def on_step_end(self, *given: Any, **named: Any) -> None:
            answer(trainer.loss.item(), trainer.forward_and_backward, time.perf_counter() - trainer.started)

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            folder, max_steps=10**6, per_device_train_batch_size=TOKENS // context, learning_rate=RATE,
            adam_beta2=BETA2, weight_decay=DECAY, max_grad_norm=CLIP, lr_scheduler_type="constant", use_cpu=True,
            report_to=[], logging_strategy="no", save_strategy="no", remove_unused_columns=False, disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Turns(model=model, args=settings, train_dataset=Sequences(), callbacks=[Reports()])
        trainer.train()


PIPE = os.fdopen(os.dup(1), "w")
"""To the process that leads; whatever else is printed goes elsewhere."""


def wait() -> None:
    if not sys.stdin.readline():
        os._exit(0)


def answer(*numbers: float) -> None:
    print(json.dumps(numbers), file=PIPE, flush=True)


def peak(multiply: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Operations per second of a square multiplication, the best of a few."""
    a, best = torch.ones(1024, 1024), float("inf")
    for _ in range(8):
        started = time.perf_counter()
        multiply(a, a)
        best = min(best, time.perf_counter() - started)
    return 2 * 1024**3 / best


def work(system: str, shape: str, weights: Weights, threads: int) -> None:
    """Be a system: train a step whenever a line comes, and answer with loss and seconds."""
    os.dup2(2, 1)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    compiled = system.endswith("-compiled")
    if system.startswith("transformers"):
        return transformers_trainer(shape, weights, system.endswith("neox"))
    if system == "peaks":
        from libertas.model.linear import product

        while True:
            wait()
            answer(peak(torch.mm), peak(product))
    name = system.removesuffix("-compiled")
    if name in ("libertas", "libertas-neox"):
        step = libertas(shape, weights, name.endswith("neox"), compiled)
    else:
        step = {"nanogpt": nanogpt, "litgpt": litgpt}[name](shape, weights, compiled)
    number = 0
    while True:
        batch = batch_of(number, shape)
        wait()
        started = time.perf_counter()
        loss, forward_and_backward = step(batch)
        answer(loss, forward_and_backward, time.perf_counter() - started)
        number += 1


def turns(shape: str, systems: list[str], given: argparse.Namespace, folder: Path) -> dict[str, list[list[float]]]:
    """What each system answered, round by round, without the warm-up's times but with its losses."""
    from libertas.model.transformer import Model

    files = {neox: folder / f"{shape}-{neox}.pt" for neox in (False, True)}
    for neox, file in files.items():
        torch.save(dict(Model(our_shape(shape, neox)).state_dict()), file)
    workers = {}
    for system in systems:
        python = given.litgpt if system.startswith("litgpt") else sys.executable
        weights = files[is_neox(system)]
        workers[system] = subprocess.Popen(
            [python, __file__, "--worker", system, "--shapes", shape, "--weights", str(weights),
             "--threads", str(given.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    answers: dict[str, list[list[float]]] = {system: [] for system in systems}
    for number in range(WARM_UP + given.steps):
        for place in range(len(systems)):
            system = systems[(number + place) % len(systems)]
            worker = workers[system]
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
            answers[system].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return answers


def report(shape: str, answers: dict[str, list[list[float]]]) -> None:
    from libertas.model.cost import training_flops_per_token

    torchs_own, best = (max(column) for column in zip(*answers.pop("peaks"), strict=True))
    best = max(best, torchs_own)
    flops = training_flops_per_token(our_shape(shape, False), SHAPES[shape][3]) * TOKENS
    median = {
        system: [statistics.median(column) for column in zip(*rows[WARM_UP:], strict=True)][1:]
        for system, rows in answers.items()
    }
    for system, (backward, whole) in median.items():
        ours = "libertas-neox" if is_neox(system) else "libertas"
        apart = [abs(row[0] - our[0]) for row, our in zip(answers[system], answers[ours], strict=True)]
        line = {
            "shape": shape, "system": system, "step_ms": round(1e3 * whole, 1),
            "forward_backward_ms": round(1e3 * backward, 1), "tokens_per_second": round(TOKENS / whole),
            "ours_times_faster": round(whole / median[ours][1], 2),
            "ours_times_faster_forward_backward": round(backward / median[ours][0], 2),
            "losses_apart": float(f"{max(apart[:COMPARED]):.1e}"),
            "mfu": round(flops / whole / best, 3), "mfu_of_torchs_matmul": round(flops / whole / torchs_own, 3),
            "peak_gflops": round(best / 1e9), "torchs_peak_gflops": round(torchs_own / 1e9),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", nargs="?", type=int, default=20)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--litgpt", default="")
    parser.add_argument("--worker", default="")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--weights", default="")
    given = parser.parse_args()
    if given.worker:
        return work(given.worker, given.shapes, torch.load(given.weights), given.threads)
    systems = [s for s in given.systems.split(",") if given.litgpt or not s.startswith("litgpt")]
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes.split(","):
            report(shape, turns(shape, [*systems, "peaks"], given, Path(folder)))


if __name__ == "__main__":
    main()
