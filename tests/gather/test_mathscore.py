"""The math score judges words, not formulas; with it, which documents `only: math` takes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.document import Drop
from libertas.errors import BrokenLineage
from libertas.gather import mathscore
from libertas.gather.mathscore import (
    FEWEST_WORDS,
    LONGEST_WORD,
    MOST_ACCENTED,
    ROWS_BITS,
    SCORED_CHARACTERS,
    SHORTEST_MATH,
    WITH_FORMULAS,
    WITHOUT_FORMULAS,
    hashed_words,
    is_mathematical,
    math_score,
)
from libertas.gather.weights import stored_weights

PROOF = (
    "Let the group act on a finite set and choose a point with trivial stabilizer. By the lemma above the map is "
    "injective, hence a bijection of the group onto the orbit, and the theorem follows by induction on the order."
)
RECIPE = (
    "Peel the onions and fry them in butter until they are golden, then add the carrots with a glass of white wine. "
    "Cover the pot, let it simmer for an hour, and serve the stew with fresh bread and a green salad."
)
NEWS = (
    "The mayor said on Tuesday that the old bridge would stay closed until spring, and shop owners near the river "
    "complained that their customers had gone to the new mall outside the town."
)


def test_proofs_score_high_and_other_prose_low() -> None:
    assert math_score(PROOF) >= WITHOUT_FORMULAS
    assert math_score(RECIPE) < 0.5
    assert math_score(NEWS) < WITH_FORMULAS


@pytest.mark.parametrize("formula", ["$x^2 + y$", r"$$\sum_i x_i$$", r"\(f(x)\)", r"\[\frac{a}{b}\]", "$\\alpha$"])
@pytest.mark.parametrize("text", [PROOF, RECIPE], ids=["proof", "recipe"])
def test_formulas_do_not_change_the_score(text: str, formula: str) -> None:
    words = text.split()
    with_it = " ".join([*words[:10], formula, *words[10:]])
    without = " ".join([*words[:10], " ", *words[10:]])
    assert math_score(with_it) == math_score(without)


def test_commands_of_tex_outside_formulas_do_not_count() -> None:
    assert math_score(rf"\section {RECIPE} \theorem \lemma \proof") == math_score(RECIPE)


@pytest.mark.parametrize("text", ["", "a b c d e f", "$x$ $y$", "theorem lemma", "1 2 3 4 5 6"])
def test_too_few_words_are_no_mathematics(text: str) -> None:
    assert len(hashed_words(text)) < FEWEST_WORDS
    assert math_score(text) == 0.0


def test_words_and_pairs_are_counted_and_single_letters_are_not() -> None:
    assert len(hashed_words("let a group act")) == 3 + 2
    assert hashed_words("Group ACT").tolist() == hashed_words("group act").tolist()
    assert hashed_words("group act").tolist() != hashed_words("act group").tolist()
    assert set(hashed_words("ring").tolist()) <= set(hashed_words("a ring of sets").tolist())


def test_letters_behind_the_longest_word_do_not_count() -> None:
    long = "a" * LONGEST_WORD
    assert hashed_words(long + "b").tolist() == hashed_words(long + "c").tolist()
    assert hashed_words("b" + long).tolist() != hashed_words("c" + long).tolist()


def test_only_the_beginning_of_a_text_is_scored() -> None:
    text = (PROOF + " ") * (SCORED_CHARACTERS // len(PROOF) + 1)
    assert math_score(text + RECIPE * 100) == math_score(text)


@given(st.text(max_size=300))
def test_any_text_has_a_probability_and_rows_of_the_table(text: str) -> None:
    assert 0.0 <= math_score(text) <= 1.0
    assert all(row < 1 << ROWS_BITS for row in hashed_words(text).tolist())


@pytest.mark.parametrize("piece", ["$", "\\(", "\\[", "$$", "\\", "{", "$a ", "\\(\\["])
def test_hostile_text_is_scored_in_linear_time(piece: str) -> None:
    assert 0.0 <= math_score(piece * (SCORED_CHARACTERS // len(piece))) <= 1.0


def test_a_page_with_formulas_needs_less_than_one_without() -> None:
    between = 0.5
    assert is_mathematical(PROOF, 1, between) is None
    assert is_mathematical(PROOF, 0, between) == Drop("math", "not mathematical", between)
    assert is_mathematical(PROOF, 0, WITHOUT_FORMULAS) is None
    assert is_mathematical(PROOF, 1, WITH_FORMULAS) is None
    assert is_mathematical(PROOF, 1, 0.1699) == Drop("math", "not mathematical", 0.1699)


def test_short_texts_are_dropped_with_their_length() -> None:
    short = "x" * (SHORTEST_MATH - 1)
    assert is_mathematical(short, 1, 1.0) == Drop("math", "too few characters", SHORTEST_MATH - 1)
    assert is_mathematical(short + "x", 1, 1.0) is None


def test_texts_with_many_accents_are_dropped_with_their_share() -> None:
    text = "é" * 2 + "x" * 98
    assert is_mathematical(text, 1, 1.0) == Drop("math", "too many accented letters", 0.02)
    assert is_mathematical("é" + "x" * 99, 1, 1.0) is None
    assert 0.01 < MOST_ACCENTED < 0.02


def test_the_signs_of_times_and_division_are_no_accents() -> None:
    assert is_mathematical("×÷" * 100, 1, 1.0) is None


def test_other_weights_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "math.safetensors"
    other.write_bytes(mathscore.MATH_MODEL.read_bytes() + b" ")
    with pytest.raises(BrokenLineage, match="digest"):
        stored_weights(other, mathscore.MATH_MODEL_BLAKE3)
