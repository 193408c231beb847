"""Presentation MathML as LaTeX: each construct, and markup that is broken, deep or hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from math_reading import converted
from resiliparse.parse.html import HTMLTree

from libertas.gather.math.mathml import DEEPEST, math_source

A, B, C, X, N = "<mi>a</mi>", "<mi>b</mi>", "<mi>c</mi>", "<mi>x</mi>", "<mn>1</mn>"
ROWS = f"<mtable><mtr><mtd>{A}</mtd><mtd>{B}</mtd></mtr><mtr><mtd>{C}</mtd><mtd><mi>d</mi></mtd></mtr></mtable>"

CONSTRUCTS = {
    "identifier": (X, "x"),
    "Greek": ("<mi>α</mi><mi>Ω</mi>", r"\alpha\Omega"),
    "command before a letter": ("<mi>α</mi><mi>x</mi>", r"\alpha x"),
    "name of a function": ("<mi>sin</mi><mi>x</mi>", r"\sin x"),
    "other name": ("<mi>rank</mi>", r"\mathrm{rank}"),
    "operator name": ("<mo>lim</mo>", r"\lim"),
    "operator name that TeX does not know": ("<mo>rank</mo>", r"\operatorname{rank}"),
    "number": ("<mn>3.14</mn>", "3.14"),
    "operators": (f"{A}<mo>≤</mo>{B}<mo>×</mo>{C}", r"a\le b\times c"),
    "minus sign": (f"{A}<mo>−</mo>{B}", "a-b"),
    "invisible operators": (f"{A}<mo>&InvisibleTimes;</mo>{B}<mo>&ApplyFunction;</mo>{C}", "abc"),
    "prime": (f"<msup>{X}<mo>′</mo></msup>", "x'"),
    "words": ("<mtext>if and</mtext>", r"\text{if and}"),
    "words with signs of TeX": ("<mtext>5% &amp; $</mtext>", r"\text{5\% \& \$}"),
    "string": ("<ms>s</ms>", '\\text{"s"}'),
    "fraction": (f"<mfrac>{A}{B}</mfrac>", r"\frac{a}{b}"),
    "binomial": (f'<mrow><mo>(</mo><mfrac linethickness="0">{A}{B}</mfrac><mo>)</mo></mrow>', r"\binom{a}{b}"),
    "fraction without a line": (f'<mfrac linethickness="0pt">{A}{B}</mfrac>', r"{a \atop b}"),
    "slanted fraction": (f'<mfrac bevelled="true">{A}{B}</mfrac>', "{a}/{b}"),
    "root": (f"<msqrt>{A}<mo>+</mo>{B}</msqrt>", r"\sqrt{a+b}"),
    "cube root": (f"<mroot>{A}<mn>3</mn></mroot>", r"\sqrt[3]{a}"),
    "subscript": (f"<msub>{A}{N}</msub>", "a_{1}"),
    "superscript": (f"<msup>{A}<mrow>{B}<mo>+</mo>{N}</mrow></msup>", "a^{b+1}"),
    "both": (f"<msubsup>{A}{N}{B}</msubsup>", "a_{1}^{b}"),
    "superscript of a superscript": (f"<msup><msup>{A}{B}</msup>{C}</msup>", "{a^{b}}^{c}"),
    "superscript of a sum": (f"<msup><mrow>{A}<mo>+</mo>{B}</mrow>{C}</msup>", "{a+b}^{c}"),
    "superscript of brackets": (f"<msup><mrow><mo>(</mo>{A}<mo>)</mo></mrow>{C}</msup>", "(a)^{c}"),
    "limits of a sum": (f"<munderover><mo>∑</mo>{N}<mi>n</mi></munderover>{A}", r"\sum_{1}^{n}a"),
    "limits of an integral": (f"<msubsup><mo>∫</mo>{A}{B}</msubsup>", r"\int_{a}^{b}"),
    "limit": (f"<munder><mi>lim</mi><mrow>{X}<mo>→</mo><mn>0</mn></mrow></munder>", r"\lim_{x\to0}"),
    "hat": (f"<mover>{X}<mo>^</mo></mover>", r"\hat{x}"),
    "wide hat": (f"<mover><mrow>{A}{B}</mrow><mo>^</mo></mover>", r"\widehat{ab}"),
    "bar": (f"<mover>{X}<mo>¯</mo></mover>", r"\bar{x}"),
    "vector": (f"<mover>{X}<mo>→</mo></mover>", r"\vec{x}"),
    "two dots": (f"<mover>{X}<mo>¨</mo></mover>", r"\ddot{x}"),
    "word above an arrow": (f"<mover><mo>→</mo>{A}</mover>", r"\overset{a}{\to}"),
    "letter below": (f"<munder>{X}{A}</munder>", r"\underset{a}{x}"),
    "brace below": (
        f"<munder><munder><mrow>{A}{B}</mrow><mo>⏟</mo></munder>{N}</munder>",
        r"\underbrace{ab}_{1}",
    ),
    "brace above": (f"<mover><mover><mrow>{A}{B}</mrow><mo>⏞</mo></mover>{N}</mover>", r"\overbrace{ab}^{1}"),
    "indices on both sides": (
        f"<mmultiscripts>{X}{A}{B}<mprescripts></mprescripts>{C}{N}</mmultiscripts>",
        "{}_{c}^{1}x_{a}^{b}",
    ),
    "matrix": (ROWS, r"\begin{matrix} a & b \\ c & d \end{matrix}"),
    "matrix in brackets": (
        f"<mrow><mo>(</mo>{ROWS}<mo>)</mo></mrow>",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
    ),
    "matrix in square brackets": (
        f'<mfenced open="[" close="]">{ROWS}</mfenced>',
        r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}",
    ),
    "determinant": (f"<mrow><mo>|</mo>{ROWS}<mo>|</mo></mrow>", r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}"),
    "cases": (f"<mrow><mo>{{</mo>{ROWS}</mrow>", r"\begin{cases} a & b \\ c & d \end{cases}"),
    "aligned": (
        ROWS.replace("<mtable>", '<mtable columnalign="right left">'),
        r"\begin{aligned} a & b \\ c & d \end{aligned}",
    ),
    "lines between columns": (
        ROWS.replace("<mtable>", '<mtable columnlines="solid">'),
        r"\begin{array}{c|c} a & b \\ c & d \end{array}",
    ),
    "numbered row": (
        f"<mtable><mlabeledtr><mtd><mn>7</mn></mtd><mtd>{A}</mtd></mlabeledtr></mtable>",
        r"\begin{matrix} a \tag{7} \end{matrix}",
    ),
    "brackets around something tall": (
        f"<mrow><mo>(</mo><mfrac>{A}{B}</mfrac><mo>)</mo></mrow>",
        r"\left(\frac{a}{b}\right)",
    ),
    "fenced list": (f"<mfenced>{A}{B}</mfenced>", "(a,b)"),
    "fenced with separators": (f'<mfenced separators=";|">{A}{B}{C}</mfenced>', "(a;b|c)"),
    "set": (f"<mrow><mo>{{</mo>{A}<mo>}}</mo></mrow>", r"\{a\}"),
    "absolute value": (f"<mrow><mo>|</mo>{A}<mo>|</mo></mrow>", "|a|"),
    "floor": (f"<mrow><mo>⌊</mo>{A}<mo>⌋</mo></mrow>", r"\lfloor a\rfloor"),
    "double-struck by variant": ('<mi mathvariant="double-struck">R</mi>', r"\mathbb{R}"),
    "double-struck by character": ("<mi>ℝ</mi>", r"\mathbb{R}"),
    "bold by character": ("<mi>𝐱</mi>", r"\mathbf{x}"),
    "fraktur": ('<mi mathvariant="fraktur">g</mi>', r"\mathfrak{g}"),
    "variant of a style": (f'<mstyle mathvariant="bold">{X}</mstyle>', r"\mathbf{x}"),
    "space": (f'{A}<mspace width="1em"></mspace>{B}', r"a\quad b"),
    "thin space": (f'{A}<mspace width="thinmathspace"></mspace>{B}', r"a\,b"),
    "line break": (f'{A}<mspace linebreak="newline"></mspace>{B}', r"a\\ b"),
    "phantom": (f"<mphantom>{A}</mphantom>", r"\phantom{a}"),
    "box": (f'<menclose notation="box">{A}</menclose>', r"\boxed{a}"),
    "strike": (f'<menclose notation="updiagonalstrike">{A}</menclose>', r"\cancel{a}"),
    "circle": (f'<menclose notation="circle">{A}</menclose>', r"\enclose{circle}{a}"),
    "action": (f"<maction>{A}{B}</maction>", "a"),
    "rows in rows": (f"<mrow><mrow><mstyle>{A}</mstyle></mrow></mrow>", "a"),
    "fraction without its lower part": (f"<mfrac>{A}</mfrac>", "a"),
    "text in no element": ("x", r"\text{x}"),
    "HTML inside a token": ("<mi><i>x</i></mi>", "x"),
    "HTML inside words": ("<mtext>for <b>all</b></mtext>", r"\text{for all}"),
    "a formula inside words": (
        f"<mtext>for <math><mfrac>{A}{B}</mfrac></math></mtext>",
        r"\text{for}\frac{a}{b}",
    ),
    "nothing": ("<mrow></mrow>", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_each_construct_becomes_its_latex(name: str) -> None:
    mathml, latex = CONSTRUCTS[name]
    assert converted(mathml) == latex


def source_of(mathml: str) -> str:
    tree = HTMLTree.parse(mathml)
    assert tree.document is not None
    math = tree.document.query_selector("math")
    assert math is not None
    return math_source(math)


def test_a_tex_annotation_says_more_than_any_conversion() -> None:
    annotated = f'<semantics><mfrac>{A}{B}</mfrac><annotation encoding="%s">\\tfrac ab</annotation></semantics>'
    assert source_of(f"<math>{annotated % 'application/x-tex'}</math>") == r"\tfrac ab"
    assert source_of(f"<math>{annotated % 'TeX'}</math>") == r"\tfrac ab"
    assert source_of(f"<math>{annotated % 'StarMath 5.0'}</math>") == r"\frac{a}{b}"


def test_an_alttext_counts_if_it_is_tex() -> None:
    assert source_of(rf'<math alttext="\alpha+1"><mfrac>{A}{B}</mfrac></math>') == r"\alpha+1"
    assert source_of(f'<math alttext="a over b"><mfrac>{A}{B}</mfrac></math>') == r"\frac{a}{b}"
    assert source_of('<math alttext="x"></math>') == "x"


@pytest.mark.parametrize("tag", ["mrow", "msqrt", "mstyle", "mfenced", "mi", "span", "mtable"])
def test_what_is_nested_too_deep_is_taken_as_text(tag: str) -> None:
    latex = converted(f"<{tag}>" * 5 * DEEPEST + "<mn>7</mn>" + f"</{tag}>" * 5 * DEEPEST)
    assert latex.count("7") <= 1
    assert len(latex) < 100 * DEEPEST


@pytest.mark.parametrize("opened", ["<mi><b>\\", "<mtext>$<i>{", "<mi><mfrac>{", "<ms>_<mo>%", "<mi><msqrt>x"])
def test_html_in_tokens_does_not_escape_its_escapes(opened: str) -> None:
    markup = (opened * 5000)[: 5000 // len(opened) * len(opened)]
    assert len(converted(markup)) < 20 * len(markup)
    once, twice = (len(converted(opened * n)) for n in (20, 40))
    assert twice < 2.5 * once + 100


def test_a_wide_formula_takes_as_long_as_its_length() -> None:
    assert converted("<mi>x</mi>" * 50_000) == "x" * 50_000


PIECES = (
    "<mi> </mi> <mo> </mo> <mrow> </mrow> <mfrac> </mfrac> <msup> </msup> <munder> </munder> <mtable> <mtr> <mtd> "
    "<mfenced> </mfenced> <mmultiscripts> <mprescripts> <mspace> <mtext> </mtext> <i> </i> <svg> <p> x 1 { ( | \\ $ α "
    "∑ ^ &nbsp; <!-- --> <annotation> </math> <math>"
)


@given(st.lists(st.sampled_from(PIECES.split()), max_size=40))
def test_no_markup_is_too_broken_to_read(pieces: list[str]) -> None:
    latex = converted("".join(pieces))
    assert isinstance(latex, str)
    assert len(latex) < 100 * (1 + sum(map(len, pieces)))
