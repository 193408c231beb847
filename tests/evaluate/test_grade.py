"""What counts as right in what a model wrote, against values computed by hand."""

import sys
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.evaluate.grade import GRADERS, chosen_in, grade, last_boxed, number_in, pass_at_k
from libertas.evaluate.item import choice_item, written_item

QUESTION = choice_item("q", ("a dog", "A cat", "I think", "fish"), 1, question="Which one purrs?")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("A cat", 1),
        (" a  cat.\n", 1),
        ("B", 1),
        (" B.", 1),
        ("(B) because it purrs", 1),
        ("B\nQuestion: next", 1),
        ("The answer is (D).", 3),
        ("the answer: d", 3),
        ("I think", 2),
        ("a dog, of course", 0),
        ("a dogma", None),
        ("A strange question", None),
        ("Z", None),
        ("", None),
    ],
)
def test_a_choice_is_named_by_its_text_or_its_letter_and_by_nothing_else(written, number):
    assert chosen_in(QUESTION, written) == number


def test_letters_are_only_told_apart_from_words_by_what_follows_them():
    item = choice_item("q", ("BB Bb", "bb BB"), 1)
    assert chosen_in(item, "bb BB") == 1
    assert chosen_in(item, "BB Bb") == 0


def test_of_two_equal_choices_either_is_right_when_it_is_written():
    item = choice_item("q", ("up", "down", "up"), 2)
    assert grade(item, "up")
    assert grade(item, "A")
    assert not grade(item, "B")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("She has 3 * 4 = <<3*4=12>>12 eggs.\n#### 12", 12),
        ("#### -1,234.50", Fraction(-2469, 2)),
        ("#### $18.00 and then 7", 18),
        ("It costs $1,000,000.", 1_000_000),
        ("so 10 - 3 = 7.", 7),
        ("10-3", 3),
        ("he owes −5", -5),
        ("the share is 7/3", Fraction(7, 3)),
        (".5", Fraction(1, 2)),
        (r"thus \boxed{42}, as 41 + 1 says", 42),
        ("3/0", None),
        ("no number", None),
        ("", None),
    ],
)
def test_a_number_is_found_where_a_solution_puts_it(text, value):
    assert number_in(text) == value


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_any_fraction_is_read_back(value):
    assert number_in(f"First 12, then.\n#### {value}") == value


def test_a_number_of_a_million_digits_and_a_million_marks_are_read_in_no_time():
    for text in ("9" * 10**6, "-" * 10**6, "\\boxed{" * 10**5, "$1," * 10**5, "\\text{" * 10**5):
        for grader in set(GRADERS) - {"code", "math-verify", "choice"}:
            assert not grade(written_item("i", r"#### 3 \boxed{3}", grader), text)


def test_writing_is_read_up_to_the_next_question_only():
    item = written_item("i", "#### 3", "number")
    assert grade(item, "1 + 2 = 3\n\nQuestion: And 4 + 4?\nAnswer: 8")
    assert not grade(item, "1 + 2 = 4\n\nQuestion: And 1 + 2?\nAnswer: 3")
    assert not grade(choice_item("i", ("x", "y"), 1), "\n\nno idea\n\nAnswer: B")
    assert grade(choice_item("i", ("x", "y"), 1), "\n\nB\n\nAnswer: A")
    asked = written_item("i", "31", "first number", passage="Q:What is 24 plus 7? A:")
    assert grade(asked, " 31 Q:What is 9 plus 9? A: 18")
    assert not grade(asked, " 30\n31")


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1}, no, \boxed{\{2\}}", r"\{2\}"),
        (r"\fbox{3}", "3"),
        (r"\boxed{\text{never closed}", None),
        ("none", None),
    ],
)
def test_the_last_box_is_read_with_the_braces_inside_it(text, boxed):
    assert last_boxed(text) == boxed


@pytest.mark.parametrize(
    ("gold", "written", "right"),
    [
        (r"\frac{1}{2}", r"\dfrac12", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{1}{2}", "1/2", True),
        (r"10{,}000", "10000", True),
        (r"10,\!000", "10,000", True),
        (r"x=5", "5", True),
        (r"30^\circ", "30", True),
        (r"15\text{ cm}^2", "15", True),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})", True),
        (r"\$32", "32", True),
        (r"50\%", "50", True),
        (r"\text{even}", "even", True),
        (r"\sqrt2", r"\sqrt{2}", True),
        ("(1,2)", "(12)", False),
        ("5", "-5", False),
        (r"\frac{1}{3}", "0.33", False),
    ],
)
def test_two_ways_to_write_a_value_in_latex_are_the_same_only_if_the_value_is(gold, written, right):
    assert grade(written_item("i", rf"\boxed{{{gold}}}", "boxed"), rf"It is \boxed{{{written}}}.") is right


@pytest.mark.slow
def test_math_verify_sees_that_values_are_the_same_where_words_differ():
    pytest.importorskip("math_verify")
    item = written_item("i", r"\boxed{\frac{\sqrt{2}}{2}}", "math-verify")
    assert grade(item, r"so \boxed{\frac{1}{\sqrt{2}}}")
    assert not grade(item, r"so \boxed{\frac{1}{\sqrt{3}}}")


def test_a_missing_math_verify_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(UsageError, match="pip install 'math-verify"):
        grade(written_item("i", r"\boxed{1}", "math-verify"), "1")


def test_a_continuation_has_to_come_first_and_as_whole_words():
    item = written_item("i", "stable", "continuation", passage="in the")
    assert grade(item, " stable, and")
    assert not grade(item, " stables")
    assert not grade(item, " old stable")
    assert grade(written_item("i", '“Sal\n"Sarah', "continuation"), '“Sal "Sarah')


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(numbers):
    samples, right, k = numbers
    wanted = 1 - Fraction(comb(samples - right, k), comb(samples, k))
    assert pass_at_k(samples, right, k) == pytest.approx(float(wanted), abs=1e-12)


def test_pass_at_k_stays_exact_where_factorials_overflow():
    assert pass_at_k(100_000, 1, 1000) == pytest.approx(0.01, abs=1e-9)
    with pytest.raises(UsageError, match="pass@3 of 1 right among 2 samples"):
        pass_at_k(2, 1, 3)
