"""Settings of the tokenize stage are refused before anything is read, with field, value and what was expected."""

from pathlib import Path

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
