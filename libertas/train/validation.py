"""The held-out loss, measured while a model is trained: as a whole, and for each component."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tokenize.bpe import token_bytes
from libertas.tokenize.pack import documents_of
from libertas.tokenize.store import TokenStore
from libertas.train.config import TrainConfig
from libertas.train.parallel import Layout

VALIDATION_SEQUENCES = 64
"""Held-out sequences measured every `validate_every` steps; `libertas evaluate` measures all of them."""
AT_ONCE = 8
"""Sequences per forward pass."""
COMPONENTS = 256
"""More than their numbers, which are bytes."""


class Validation:
    """A fixed sample of held-out sequences, the same at every measurement; no bytes if nothing is held out.

    They are read as in training, causally: with the training's document masks, but whatever its objective. With masks,
    first tokens of documents, which nothing predicts, count neither in bits nor in bytes.
    """

    def __init__(self, config: TrainConfig, shape: ModelConfig, layout: Layout) -> None:
        """Choose the sequences, evenly over the held-out tokens."""
        store = TokenStore.open(config.tokens, "validation")
        self.layout, self.masks = layout, config.document_masks
        length = min(shape.context, max(1, len(store) - 1))
        length = max(layout.tensor, length // layout.tensor * layout.tensor)
        numbers = np.arange((len(store) - 1) // length)
        starts = numbers[:: max(1, len(numbers) // VALIDATION_SEQUENCES)][:VALIDATION_SEQUENCES] * length
        tokens = store.tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)
        documents = documents_of(store, starts, length + 1) if len(starts) else tokens
        self.tokens, self.documents = torch.from_numpy(tokens), torch.from_numpy(documents)
        self.counted = torch.ones(tokens[:, 1:].shape, dtype=torch.bool)
        if self.masks:
            self.counted = self.documents[:, 1:] == self.documents[:, :-1]
        self.components = torch.from_numpy(store.components[documents[:, 1:]].astype(np.int64))
        self.names = store.component_names
        sizes = token_bytes(store.tokenizer())[tokens[:, 1:]] * self.counted.numpy()
        self.bytes = int(sizes.sum())
        self.component_bytes = np.bincount(self.components.numpy().ravel(), sizes.ravel(), COMPONENTS)

    def measure(self, model: Model) -> dict[str, Any]:
        """Bits per byte over all of the sequences' targets, and by component where there are several."""
        rows = torch.arange(len(self.tokens))[self.layout.data_rank :: self.layout.data_ranks]
        own = len(rows)
        if own < -(-len(self.tokens) // self.layout.data_ranks):  # all must take as many steps: one more, not counted
            rows = torch.cat([rows, rows.new_zeros(1)])
        sums = np.zeros(COMPONENTS)
        with torch.no_grad():
            for place, part in enumerate(torch.split(rows, AT_ONCE)):
                counted = self.counted[part] & (place * AT_ONCE + torch.arange(len(part)) < own)[:, None]
                nats = self._nats(model, part).double() * self.layout.own_times(counted)
                numbers = self.layout.own_times(self.components[part])
                sums += np.bincount(numbers.flatten().numpy(), nats.flatten().numpy(), COMPONENTS)
        self.layout.settle(model)
        bits = np.array(self.layout.totals(sums.tolist())) / math.log(2)
        found: dict[str, Any] = {"validation_bits_per_byte": float(bits.sum() / self.bytes)}
        if len(self.names) > 1:
            found["validation_components"] = {
                name: float(bits[number] / self.component_bytes[number])
                for number, name in enumerate(self.names)
                if self.component_bytes[number]
            }
        return found

    def _nats(self, model: Model, part: Tensor) -> Tensor:
        """Negative log probabilities of the targets of some sequences; logits of one sequence at a time."""
        device = self.layout.device
        documents = self.documents[part, :-1].to(device) if self.masks else None
        hidden = model.hidden(self.tokens[part, :-1].to(device), documents=documents)
        targets = self.layout.own_times(self.tokens[part, 1:]).to(device)
        pairs = zip(hidden, targets, strict=True)
        return torch.stack([F.cross_entropy(model.unembed(h).float(), t, reduction="none") for h, t in pairs]).cpu()
