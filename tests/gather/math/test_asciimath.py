"""AsciiMath as LaTeX: its grammar, symbol by symbol, and input that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.gather.math.asciimath import BINARY, SYMBOLS, UNARY, asciimath_latex

EXAMPLES = {
    "x": "x",
    "x^2": "x^{2}",
    "a_1^2": "a_{1}^{2}",
    "x^(n+1)": "x^{n+1}",
    "a/b": r"\frac{a}{b}",
    "(a+b)/(c+d)": r"\frac{a+b}{c+d}",
    "a/b/c": r"\frac{a}{b}/c",
    "sqrt 2": r"\sqrt{2}",
    "sqrt(x+1)": r"\sqrt{x+1}",
    "root(3)(x)": r"\sqrt[3]{x}",
    "frac(a)(b)": r"\frac{a}{b}",
    "sum_(i=1)^n i^3": r"\sum_{i=1}^{n}i^{3}",
    "int_0^1 f(x)dx": r"\int_{0}^{1}f(x)dx",
    "alpha beta": r"\alpha\beta",
    "2 pi r": r"2\pi r",
    "sin x": r"\sin x",
    "x in RR": r"x\in\mathbb{R}",
    "a <= b != c": r"a\le b\ne c",
    "A => B": r"A\Rightarrow B",
    "oo": r"\infty",
    "hat x": r"\hat{x}",
    "vec(ab)": r"\vec{ab}",
    "abs(x)": r"\left|x\right|",
    "floor(x/2)": r"\left\lfloor \frac{x}{2}\right\rfloor",
    "bb A": r"\mathbf{A}",
    '"if" x': r"\text{if}x",
    "text(if so) x": r"\text{if so}x",
    "[[a,b],[c,d]]": r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}",
    "((a,b),(c,d))": r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
    "{(x,1),(y,2):}": r"\begin{cases} x & 1 \\ y & 2 \end{cases}",
    "(a/b)": r"\left(\frac{a}{b}\right)",
    "(a,b)": "(a,b)",
    "{x}": r"\{x\}",
    "(:x:)": r"\langle x\rangle",
    "lim_(x->0)": r"\lim_{x\to0}",
    "stackrel(a)(=)": r"\overset{a}{=}",
    "3.14": "3.14",
    "50%": r"50\%",
    "color(red)(x)": r"{\color{red}x}",
    "": "",
}


@pytest.mark.parametrize("source", EXAMPLES)
def test_each_example_becomes_its_latex(source: str) -> None:
    assert asciimath_latex(source) == EXAMPLES[source]


@pytest.mark.parametrize("source", ["(", "(a", "a/", "a^", "sqrt", "frac(a)", "[[a,b],[c", "/", '"', "{(a,b):}", "|"])
def test_what_is_unfinished_is_read_as_far_as_it_goes(source: str) -> None:
    assert "%s" not in asciimath_latex(source)


def test_every_symbol_stands_for_itself_alone() -> None:
    assert {name: asciimath_latex(name) for name in SYMBOLS} == SYMBOLS


@given(st.text(alphabet="ab12 ()[]{}|,/^_+-:\"'\\", max_size=60))
def test_any_text_can_be_read(source: str) -> None:
    assert len(asciimath_latex(source)) <= 100 + 40 * len(source)


@given(st.lists(st.sampled_from([*UNARY, *BINARY, *SYMBOLS, "(", ")", ",", "x", "2", "^", "_", "/", " "]), max_size=30))
def test_any_row_of_symbols_can_be_read(words: list[str]) -> None:
    latex = asciimath_latex(" ".join(words))
    assert "%s" not in latex


@pytest.mark.parametrize("source", ["(" * 20_000, "sqrt " * 20_000, "x^" * 20_000, "|" * 20_000, "frac " * 20_000])
def test_depth_is_bounded(source: str) -> None:
    assert len(asciimath_latex(source)) < 40 * len(source)
