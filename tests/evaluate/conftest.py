"""A tokenizer and a tiny model with random weights."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer

from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize import bpe

TEXT = (
    "The iterable must hold numbers. The function returns the sum of the numbers, and raises an error if a value is no "
    "number.\nThe caller may pass a start value, which is added to the sum; the start value may not be a string.\n"
)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return bpe.learn([TEXT] * 4, 300)


@pytest.fixture(scope="session")
def model() -> Model:
    """Context 64; weights far from zero, so that probabilities differ."""
    model = Model(replace(SIZES["tiny"], vocabulary=300), seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()
