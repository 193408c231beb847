"""Which delimiters a page has, by its own configuration, and which of the things between them are formulas."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from math_reading import FORMULA, formulas

from libertas.gather.math.delimiters import (
    DOLLARS_AND_BRACKETS,
    LONGEST_SCRIPT,
    MOST_VALUES,
    PARENTHESES,
    Delimiters,
    page_delimiters,
)
from libertas.gather.math.marks import CODE_END, CODE_START, END, MARKS, START, marked, unmark
from libertas.gather.math.prose import delimit

DOLLARS = Delimiters(inline=(("$", "$"), *PARENTHESES), dollar_if_tex=False)
NONE = Delimiters(inline=(), display=(), dollar_if_tex=False)
D, P = ("$", "$"), ("\\(", "\\)")

CONFIGURATIONS = {
    "MathJax 2": ("MathJax.Hub.Config({tex2jax: {inlineMath: [['$','$'], ['\\\\(','\\\\)']]}});", (D, P)),
    "MathJax 2, displays alone": ("MathJax.Hub.Config({tex2jax: {displayMath: [['$$','$$']]}});", PARENTHESES),
    "MathJax 2, double quotes": ('MathJax.Hub.Config({"tex2jax": {"inlineMath": [["$","$"]]}});', (D,)),
    "MathJax 2, spaces and comments": (
        "MathJax.Hub.Config({\n tex2jax : { // pairs\n inlineMath : [ ['$', '$'] /* so */ ] } });",
        (D,),
    ),
    "MathJax 3": ("MathJax = {tex: {inlineMath: [['$', '$'], ['\\\\(', '\\\\)']]}};", (D, P)),
    "MathJax 3, by assignment": ("MathJax.tex.inlineMath = [['$', '$']];", (D,)),
    "MathJax 3, trailing commas": ("MathJax = {tex: {inlineMath: [['$', '$'],],},};", (D,)),
    "MathJax 3, backticks": ("MathJax = {tex: {inlineMath: [[`$`, `$`]]}};", (D,)),
    "MathJax 4, added": ("MathJax = {tex: {inlineMath: {'[+]': [['$', '$']]}}};", (P, D)),
    "MathJax 4, taken away": (
        "MathJax = {tex: {inlineMath: {'[-]': [['\\\\(', '\\\\)']], '[+]': [['$', '$']]}}};",
        (D,),
    ),
    "KaTeX": (
        "renderMathInElement(document.body, {delimiters: [{left: '$$', right: '$$', display: true},"
        " {left: '$', right: '$', display: false}]});",
        (D,),
    ),
    "KaTeX, keys quoted": (
        'renderMathInElement(b, {"delimiters": [{"left": "\\\\(", "right": "\\\\)", "display": false}]});',
        (P,),
    ),
    "two of them": (
        "x({tex2jax:{inlineMath:[['$','$']]}}); y({tex2jax:{inlineMath:[['@','@']]}});",
        (D, ("@", "@")),
    ),
    "letters are no delimiters": ("MathJax = {tex: {inlineMath: [['a', 'b']]}};", PARENTHESES),
    "something else": ("var x = {delimiter: ','};", PARENTHESES),
    "nothing closed": ("MathJax = {tex: {inlineMath: [['$', '$'", PARENTHESES),
    "no list": ("MathJax = {tex: {inlineMath: true}};", PARENTHESES),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_page_says_what_delimits_its_formulas(name: str) -> None:
    script, inline = CONFIGURATIONS[name]
    assert page_delimiters("", [script]).inline == inline


def test_displays_are_configured_too() -> None:
    found = page_delimiters("", ["MathJax = {tex: {displayMath: [['@@', '@@']]}}"])
    assert found.display == (("@@", "@@"),)
    katex = "renderMathInElement(b, {delimiters: [{left: '%%', right: '%%', display: true}]})"
    assert page_delimiters("", [katex]).display == (("%%", "%%"),)
    assert page_delimiters("", []).display == DOLLARS_AND_BRACKETS


def test_a_page_without_a_configuration_has_the_defaults() -> None:
    assert page_delimiters("<p>$x$</p>", ["var x = 1;"]) == Delimiters()


def test_a_configured_dollar_needs_no_look_of_tex() -> None:
    assert Delimiters().dollar_if_tex
    assert not page_delimiters("", ["MathJax={tex:{inlineMath:[['$','$']]}}"]).dollar_if_tex


def test_a_page_says_whether_it_escapes_its_dollars() -> None:
    script = "MathJax={tex:{inlineMath:[['$','$']],processEscapes:%s}}"
    assert page_delimiters("", [script % "true"]).escapes
    assert not page_delimiters("", [script % "false"]).escapes
    assert not page_delimiters("", []).escapes


def test_asciimath_has_delimiters_where_a_page_loads_it() -> None:
    assert page_delimiters('<script src="MathJax.js?config=TeX-MML-AM_CHTML">', []).ascii == (("`", "`"),)
    assert page_delimiters("asciimath2jax", ["x({asciimath2jax: {delimiters: [['@','@']]}})"]).ascii == (("@", "@"),)
    assert page_delimiters("", ["MathJax={asciimath: {delimiters: {'[+]': [['@','@']]}}}"]).ascii == (
        ("`", "`"),
        ("@", "@"),
    )
    assert page_delimiters("<p>`x`</p>", []).ascii == ()


def test_libraries_and_floods_of_values_are_no_configuration() -> None:
    script = "MathJax={tex:{inlineMath:[['$','$']]}};"
    assert page_delimiters("", [script + " " * LONGEST_SCRIPT]).inline == PARENTHESES
    flood = "".join(f"x={{tex:{{inlineMath:[['{chr(0x2200 + i)}','$']]}}}};" for i in range(5 * MOST_VALUES))
    assert len(page_delimiters("", [flood]).inline) == MOST_VALUES


@given(st.text(alphabet="inlineMath:[]{}'\"`$\\,/* \n", max_size=80))
def test_any_script_can_be_read(script: str) -> None:
    page_delimiters("", ["inlineMath " + script, "inlineMath: [[" + script])


@pytest.mark.parametrize("piece", ["'", "/*", "inlineMath:[[", "inlineMath:", "`\\", "{'[+]':", "['$',"])
def test_hostile_scripts_are_read_in_linear_time(piece: str) -> None:
    page_delimiters("", ["inlineMath " + piece * (90_000 // len(piece))])


def done(text: str, delimiters: Delimiters) -> str:
    return unmark(delimit(text, delimiters)[0])


FORMULAS = {
    r"a \(x\) b": r"a $x$ b",
    r"a \[x\] b": r"a $$x$$ b",
    r"a $$x+1$$ b": r"a $$x+1$$ b",
    r"a $x_1$ b": r"a $x_1$ b",
    r"a $n$ b": r"a $n$ b",
    r"a $f(x)$ b": r"a $f(x)$ b",
    r"a $\alpha$, $\beta$ b": r"a $\alpha$, $\beta$ b",
    r"\(x\)\(y\)": r"$x$ $y$",
    r"a \(x": r"a \(x",
    r"a x\) b": r"a x\) b",
    r"\(\)": r"\(\)",
    r"\(f\left(x\right)\)": r"$f\left(x\right)$",
    "\\(a\n+ b\\)": "$a + b$",
    r"\\$5": r"\\$5",
    r"$5 and \(x\)": r"\$5 and $x$",
    r"\begin{align}x\end{align}": r"$$\begin{align}x\end{align}$$",
    r"\begin{align}x": r"\begin{align}x",
    r"\begin{document}x\end{document}": r"\begin{document}x\end{document}",
}


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_in_prose_are_found_by_the_defaults(text: str) -> None:
    assert done(text, Delimiters()) == FORMULAS[text]


PRICES = (
    "from $5 to $10",
    "$5-$10",
    "$5–$10 a month",
    "US$ 3,000 or A$ 500",
    "It is $1,000 now and was $2,000 then",
    "$20 (was $25)",
    "costs $1.5 million, not $2 billion",
    "between $100 and $200, or $1/day",
    "$HOME and $PATH",
    "$$$ cheap $$$",
    "pay $9.99/mo, save $3!",
)


@pytest.mark.parametrize("delimiters", [Delimiters(), DOLLARS], ids=["defaults", "dollars configured"])
@pytest.mark.parametrize("text", PRICES)
def test_prices_are_no_formulas(text: str, delimiters: Delimiters) -> None:
    assert delimit(text, delimiters) == (text, 0)


def test_prices_beside_formulas_are_escaped_and_nothing_else() -> None:
    assert done("It cost $5, then $x_1$ and $10.", DOLLARS) == r"It cost \$5, then $x_1$ and \$10."


def test_a_closing_delimiter_inside_braces_closes_nothing() -> None:
    assert done(r"$x \text{ for $n$ }$ b", DOLLARS) == r"$x \text{ for \(n\) }$ b"


def test_what_is_marked_already_stays() -> None:
    text = f"{marked('x', display=False)} and {CODE_START}$y$ \\(z\\){CODE_END}"
    assert delimit(text, DOLLARS) == (text, 0)


@given(st.text(alphabet="abc ,.;:!?()[]{}/\n0123456789é∀", max_size=80))
def test_a_text_without_delimiters_stays_as_it_is(text: str) -> None:
    assert delimit(text, DOLLARS) == (text, 0)


@given(st.text(alphabet="ab1 $\\()[]{}^_\n", max_size=60))
def test_no_delimiters_leave_any_text_as_it_is(text: str) -> None:
    assert done(text, NONE) == text


@given(st.text(alphabet="ab1 $\\()[]{}^_", max_size=60))
def test_the_text_outside_formulas_is_kept(text: str) -> None:
    found, count = delimit(text, DOLLARS)
    outside = re.split(f"{START}[^{END}]*{END}", found)
    assert len(outside) == count + 1
    place = 0
    for piece in outside:  # each piece stands in the text, after the one before
        assert piece in text[place:]
        place = text.index(piece, place) + len(piece)
    assert text.startswith(outside[0])
    assert text.endswith(outside[-1])


@given(st.lists(st.sampled_from([r"\(x_1\)", r"\[y^2\]", "costs $5 ", "word ", "$$a+b$$"]), max_size=8))
def test_each_formula_is_delimited_once(pieces: list[str]) -> None:
    text = " ".join(pieces)
    finished = done(text, Delimiters())
    wanted = {r"\(x_1\)": "x_1", r"\[y^2\]": "y^2", "$$a+b$$": "a+b"}
    assert not any(map(wanted.__contains__, pieces)) or formulas(finished) == [wanted[p] for p in pieces if p in wanted]
    assert MARKS.search(finished) is None


@given(st.text(alphabet="ab1 $\\()[]{}^_\n", max_size=60))
def test_reading_a_finished_document_again_finds_no_more(text: str) -> None:
    once, count = delimit(text, Delimiters())
    assert delimit(once, Delimiters()) == (once, 0)
    assert count == once.count(START)


HOSTILE = (
    "$", "$ ", "$5 ", "$$", "\\(", "\\[", "\\$", "${", "$x{$", "\\begin{align}", "[tex]", "\\(\\[$$", "$a}$", "`",
    "$\\", "\\end{align}\\begin{align*}",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hundred_thousand_delimiters_are_read_in_linear_time(piece: str) -> None:
    text = piece * 100_000
    found, _ = delimit(text, DOLLARS)
    assert len(found) < 8 * len(text)


def test_the_pattern_of_these_tests_sees_only_delimiting_dollars() -> None:
    assert formulas(r"\$5, $x$ and $$y$$ \$6") == ["x", "y"]
    assert FORMULA.findall(r"\$5 \$6") == []
