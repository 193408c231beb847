"""The held-out loss, measured while a model is trained."""

import math

import numpy as np
import torch

from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tokenize.bpe import token_bytes
from libertas.tokenize.store import TokenStore
from libertas.train.config import TrainConfig

VALIDATION_SEQUENCES = 64
"""Held-out sequences measured every `validate_every` steps; `libertas evaluate` measures all of them."""


class Validation:
    """A fixed sample of held-out sequences, the same at every measurement; no bytes if nothing is held out."""

    def __init__(self, config: TrainConfig, shape: ModelConfig) -> None:
        """Choose the sequences, evenly over the held-out tokens."""
        store = TokenStore.open(config.tokens, "validation")
        length = min(shape.context, max(1, len(store) - 1))
        numbers = np.arange((len(store) - 1) // length)
        chosen = numbers[:: max(1, len(numbers) // VALIDATION_SEQUENCES)][:VALIDATION_SEQUENCES]
        positions = chosen[:, None] * length + np.arange(length + 1)
        self.tokens = torch.from_numpy(store.tokens[positions].astype(np.int64))
        self.bytes = int(token_bytes(store.tokenizer())[self.tokens[:, 1:].numpy()].sum())

    def bits_per_byte(self, model: Model) -> float:
        """Mean over all bytes of the sequences' targets."""
        with torch.no_grad():
            nats = sum(float(model.loss(t[:, :-1], t[:, 1:]).sum()) for t in torch.split(self.tokens, 8))
        return nats / math.log(2) / self.bytes
