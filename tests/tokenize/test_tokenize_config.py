"""Settings of the tokenize stage are refused before anything is read, with field, value and what was expected."""

from pathlib import Path
from typing import Any

import pytest

from libertas.errors import UsageError
from libertas.tokenize.config import TokenizeConfig


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sample_without_a_finite_size_above_zero_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match=rf"^sample_megabytes is {value}; expected a finite number above 0"):
        TokenizeConfig(corpus=Path("mix"), out=Path("tokens"), sample_megabytes=value)


def test_a_vocabulary_that_cannot_spell_every_byte_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^vocabulary is 256; expected at least 257"):
        TokenizeConfig(corpus=Path("mix"), out=Path("tokens"), vocabulary=256)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splitting": "gpt3"}, r"^splitting is 'gpt3'; expected gpt2, neox, llama3; name one"),
        ({"sentinels": -1}, r"^sentinels is -1; expected 0 to 1000"),
        ({"vocabulary": 279, "splitting": "neox"}, r"^vocabulary is 279; .* 280 \(256 bytes and end of text, 23 runs"),
        (
            {"vocabulary": 260, "fim": True},
            r"^vocabulary is 260; expected at least 261 \(256 bytes and 5 special tokens",
        ),
        ({"shares": {"web": 1.5}}, r"^shares\.web is 1\.5; expected 0 to 1"),
        ({"shares": {"web": 0.7, "code": 0.7}}, r"^shares sum to 1\.4; expected 1 or less"),
        ({"workers": 0}, r"^workers is 0; expected 1 or more"),
        ({"engine": "spark"}, r"^engine is 'spark'; expected local or ray"),
    ],
)
def test_choices_that_there_are_not_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TokenizeConfig(corpus=Path("mix"), out=Path("tokens"), **settings)
