"""Whatever a page encodes a formula in, its LaTeX comes out between dollars, once, in its sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from math_reading import read
from resiliparse.parse.html import HTMLTree

from libertas.gather.math.encodings import may_have_math, write_out_math
from libertas.gather.math.images import image_formula
from libertas.gather.math.marks import CODE_END, CODE_START, END, START, marked, unmark

HALF = "<mfrac><mi>a</mi><mi>b</mi></mfrac>"
SQUARE = "<msup><mi>x</mi><mn>2</mn></msup>"
KATEX = (
    '<span class="katex"><span class="katex-mathml"><math><semantics><mrow>' + SQUARE + "</mrow>"
    '<annotation encoding="application/x-tex">x^2</annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span class="mord">x<sup>2</sup></span></span></span>'
)
MWE = (
    '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;">'
    '<math alttext="{\\displaystyle x^{2}}"><semantics><mrow>' + SQUARE + "</mrow>"
    '<annotation encoding="application/x-tex">{\\displaystyle x^{2}}</annotation></semantics></math></span>'
    '<img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/0a" class="mwe-math-fallback-image-inline" '
    'aria-hidden="true" alt="{\\displaystyle x^{2}}"></span>'
)
MWE_DISPLAY = MWE.replace("-inline", "-display")
CONFIGURED = "<script>MathJax.Hub.Config({tex2jax: {inlineMath: [['$','$']]}});</script>"

ELEVEN = {
    "MathML with its TeX": (
        "<p>so <math><semantics><mrow>" + SQUARE + '</mrow><annotation encoding="application/x-tex">x^2</annotation>'
        "</semantics></math>.</p>",
        "so $x^2$.",
    ),
    "MathML alone": (f"<p>half <math>{HALF}</math> of it</p>", r"half $\frac{a}{b}$ of it"),
    "script, inline and display": (
        r'<p>if <script type="math/tex">a<b</script> then</p>'
        r'<script type="math/tex; mode=display">\sum_i x_i</script>',
        r"if $a<b$ then $$\sum_i x_i$$",
    ),
    "image of CodeCogs": (
        r'<p>an <img src="https://latex.codecogs.com/gif.latex?\dpi{120}&space;\frac{1}{2}"> here</p>',
        r"an $\frac{1}{2}$ here",
    ),
    "image of WordPress": (
        '<p>with <img src="https://s0.wp.com/latex.php?latex=%5Calpha&bg=fff" alt="\\alpha" class="latex"> and</p>',
        r"with $\alpha$ and",
    ),
    "AsciiMath in a script": (
        '<p>a <script type="math/asciimath">sqrt(x)/2</script></p>',
        r"a $\frac{\sqrt{x}}{2}$",
    ),
    "KaTeX": (f"<p>the {KATEX} of</p>", "the $x^2$ of"),
    "Wikipedia": (f"<p>the {MWE} of</p>", "the $x^{2}$ of"),
    "alttext": (
        r'<p>by <math alttext="\frac{a}{b}"><mi>a</mi><mo>/</mo><mi>b</mi></math></p>',
        r"by $\frac{a}{b}$",
    ),
    "delimiters with backslashes": (r"<p>let \(x_i\) be</p><p>\[y = x\]</p>", r"let $x_i$ be $$y = x$$"),
    "delimiters of dollars": (CONFIGURED + "<p>let $n$ be, $$n > 1$$</p>", "let $n$ be, $$n > 1$$"),
}
"""The encodings that other extractors were compared on."""

SCRIPTS = {
    "display without a space": ('<script type="math/tex;mode=display">a</script>', "$$a$$"),
    "upper case of the type": ('<script type="math/TeX">a</script>', "$a$"),
    "script with CDATA": ('<script type="math/tex">% <![CDATA[\na < b %]]></script>', "$a < b$"),
    "MathML in a script": (f'<script type="math/mml"><math>{SQUARE}</math></script>', "$x^{2}$"),
    "MathML with a prefix in a script": (
        '<script type="math/mml"><m:math display="block"><m:mi>x</m:mi></m:math></script>',
        "$$x$$",
    ),
    "empty script": ('<p>a <script type="math/tex"> </script>b</p>', "a b"),
    "preview before the script": (
        '<span class="MathJax_Preview">x2</span><script type="math/tex">x^2</script>',
        "$x^2$",
    ),
    "rendering before the script": (
        '<span class="MathJax_Preview"></span><div class="MathJax_Display"><span class="MathJax"><nobr>x2</nobr>'
        '</span></div><script type="math/tex">x^2</script>',
        "$$x^2$$",
    ),
    "a comment in TeX stays one formula": ('<script type="math/tex">a\n+ b</script>', "$a + b$"),
    "delimiters inside a script": ('<script type="math/tex">\\[a\\]</script>', "$$a$$"),
}
MATHJAX = {
    "MathJax 2, data-mathml": (
        '<span class="MathJax" data-mathml="&lt;math&gt;&lt;mi&gt;x&lt;/mi&gt;&lt;/math&gt;"><nobr>x</nobr></span>',
        "$x$",
    ),
    "MathJax 2, assistive copy": (
        '<span class="MathJax"><nobr aria-hidden="true">x2</nobr><span class="MJX_Assistive_MathML"><math>'
        + SQUARE
        + "</math></span></span>",
        "$x^{2}$",
    ),
    "MathJax 2, SVG": (
        f'<span class="MathJax_SVG"><svg></svg><span class="MJX_Assistive_MathML"><math>{HALF}</math></span></span>',
        r"$\frac{a}{b}$",
    ),
    "MathJax 2, CHTML display": (
        f'<span class="MJXc-display"><span class="mjx-chtml MathJax_CHTML" data-mathml="&lt;math display=&quot;block'
        f'&quot;&gt;{SQUARE.replace("<", "&lt;").replace(">", "&gt;")}&lt;/math&gt;">x2</span></span>',
        "$$x^{2}$$",
    ),
    "MathJax 3, assistive copy": (
        f'<mjx-container class="MathJax" jax="CHTML"><mjx-math aria-hidden="true"><mjx-c></mjx-c></mjx-math>'
        f'<mjx-assistive-mml unselectable="on"><math>{SQUARE}</math></mjx-assistive-mml></mjx-container>',
        "$x^{2}$",
    ),
    "MathJax 3, display": (
        f'<mjx-container class="MathJax" jax="SVG" display="true"><svg></svg>'
        f"<mjx-assistive-mml><math>{HALF}</math></mjx-assistive-mml></mjx-container>",
        r"$$\frac{a}{b}$$",
    ),
    "MathJax 4, data-latex below": (
        '<mjx-container class="MathJax"><mjx-math data-latex="x^2"><mjx-mi data-latex="x">x</mjx-mi></mjx-math>'
        "</mjx-container>",
        "$x^2$",
    ),
    "MathJax 4, data-latex of the assistive copy": (
        f'<mjx-container class="MathJax"><svg></svg><mjx-assistive-mml><math data-latex="x^2">{SQUARE}</math>'
        "</mjx-assistive-mml></mjx-container>",
        "$x^2$",
    ),
    "container with data-tex": ('<mjx-container data-tex="x_1" display="true">x1</mjx-container>', "$$x_1$$"),
    "container with data-mml": (
        '<mjx-container data-mml="&lt;math&gt;&lt;mi&gt;y&lt;/mi&gt;&lt;/math&gt;">y</mjx-container>',
        "$y$",
    ),
    "element with data-mml": ('<span data-mml="&lt;math&gt;&lt;mi&gt;y&lt;/mi&gt;&lt;/math&gt;">y</span>', "$y$"),
    "element with data-tex": ('<span data-tex="\\beta">β</span>', r"$\beta$"),
    "preview without a source": ('<p>a<span class="MathJax_Preview">x2</span></p>', "a"),
    "CHTML with a preview after": (
        '<mjx-container data-tex="x">x</mjx-container><span class="MathJax_Preview">x</span>',
        "$x$",
    ),
}
OTHERS = {
    "KaTeX display": (f'<span class="katex-display">{KATEX}</span>', "$$x^2$$"),
    "KaTeX without annotation": (
        f'<span class="katex"><span class="katex-mathml"><math>{HALF}</math></span>'
        '<span class="katex-html">ab</span></span>',
        r"$\frac{a}{b}$",
    ),
    "KaTeX twice": (f"<p>{KATEX} and {KATEX}</p>", "$x^2$ and $x^2$"),
    "KaTeX that failed": ('<span class="katex-error" title="oops">\\frac{1</span>', r"$\frac{1$"),
    "Wikipedia display": (f"<div>{MWE_DISPLAY}</div>", "$$x^{2}$$"),
    "Wikipedia, image alone": (
        '<p>so <img class="mwe-math-fallback-image-inline" alt="{\\displaystyle y}" src="/math/render/svg/1"> is</p>',
        "so $y$ is",
    ),
    "Wikipedia, old image": ('<p>so <img class="tex" alt="\\pi" src="/math/8/1/2.png"></p>', r"so $\pi$"),
    "Wikipedia, error": ('<strong class="texerror">\\foo{x}</strong>', r"$\foo{x}$"),
    "WordPress, wp-katex-eq": ('<span class="wp-katex-eq" data-display="false">x_1</span>', "$x_1$"),
    "WordPress, wp-katex-eq display": ('<div class="wp-katex-eq" data-display="true">x_1</div>', "$$x_1$$"),
    "WordPress, $latex": (r"<p>let $latex \alpha + 1$ be</p>", r"let $\alpha + 1$ be"),
    "WordPress, no description": ('<img src="/latex.php?latex=a%2Bb&bg=ffffff">', "$a+b$"),
    "WordPress, description in the address's place": (
        '<img src="/wp-content/plugins/latex/latex.php?id=3" alt="a+b">',
        "$a+b$",
    ),
    "WordPress, QuickLaTeX": ('<img class="ql-img-inline-formula" alt="\\gamma" src="q.png">', r"$\gamma$"),
    "WordPress, QuickLaTeX display": ('<img class="ql-img-displayed-equation" alt="x" src="q.png">', "$$x$$"),
    "Quill": ('<span class="ql-formula" data-value="e^{x}">ex</span>', "$e^{x}$"),
    "CodeCogs, percent signs": ('<img src="//latex.codecogs.com/svg.latex?%5Csqrt%7B2%7D">', r"$\sqrt{2}$"),
    "CodeCogs, plus": ('<img src="http://latex.codecogs.com/png.latex?a&plus;b">', "$a+b$"),
    "CodeCogs, equation editor": ('<img src="/images/math/codecogs/1.png" alt="a_0">', "$a_0$"),
    "mimeTeX": ('<img src="/cgi-bin/mimetex.cgi?\\int_0^1">', r"$\int_0^1$"),
    "mathTeX": ('<img src="http://example.org/mathtex.cgi?x%5E3">', "$x^3$"),
    "Google's charts": ('<img src="http://chart.apis.google.com/chart?cht=tx&chl=x%5E4">', "$x^4$"),
    "Zhihu": ('<img src="https://www.zhihu.com/equation?tex=x%5E5" alt="x^5">', "$x^5$"),
    "GitHub": ('<img src="https://render.githubusercontent.com/render/math?math=x%5E6">', "$x^6$"),
    "upmath": ('<img src="https://i.upmath.me/svg/x%5E7">', "$x^7$"),
    "image of CK-12": ('<img class="x-ck12-math" alt="x^8" src="a.png">', "$x^8$"),
    "image of something else": ('<p>a <img src="cat.png" alt="x^2 the cat"> b</p>', "a b"),
    "StackExchange, .tex": ('<span class="tex" data-expr="x^9">x9</span>', "$x^9$"),
    "StackExchange, container": ('<span class="math-container">$x_0$</span>', "$x_0$"),
    "StackExchange, display": ('<span class="math-container">$$x_0$$</span>', "$$x_0$$"),
    "mathjax element": ("<mathjax>#x_2#</mathjax>", "$x_2$"),
    "arithmatex": (r'<span class="arithmatex">\(x_3\)</span>', "$x_3$"),
    "arithmatex display": (r'<div class="arithmatex">\[x_3\]</div>', "$$x_3$$"),
    "Sphinx": (r'<span class="math notranslate">\(x\)</span>', "$x$"),
    "Sphinx display": (r'<div class="math">\[x = y\]</div>', "$$x = y$$"),
    "pandoc without a renderer": ('<span class="math inline"><em>x</em> + 1</span>', "x + 1"),
    "GitLab": ('<code class="language-math">x_4</code>', "$x_4$"),
    "GitHub's own": ('<math-renderer class="js-render-math">$x_5$</math-renderer>', "$x_5$"),
    "MathML display": (f'<math display="block">{SQUARE}</math>', "$$x^{2}$$"),
    "MathML old display": (f'<math mode="display">{SQUARE}</math>', "$$x^{2}$$"),
    "MathML with a prefix": (
        "<p><mml:math><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math></p>",
        "$x^{2}$",
    ),
    "MathML that is empty": ("<p>a <math></math>b</p>", "a b"),
}
BRACKETS = {
    "[itex]": ("<p>so [itex]a_1[/itex] is</p>", "so $a_1$ is"),
    "[tex]": ("<p>so [tex]a_1[/tex] is</p>", "so $$a_1$$ is"),
    "[math]": ("<p>so [math]a_1[/math] is</p>", "so $a_1$ is"),
    "[latex]": ("<p>so [latex]a_1[/latex] is</p>", "so $a_1$ is"),
    "[latex] with dollars": ("<p>so [latex]$a_1$[/latex] is</p>", "so $a_1$ is"),
    "[texx]": ("<p>so [texx]a_1[/texx] is</p>", "so $$a_1$$ is"),
    "[TEX]": ("<p>[TEX]a_1[/TEX]</p>", "$$a_1$$"),
    "[tex] that is not closed": ("<p>so [tex]a_1 is</p>", "so [tex]a_1 is"),
    "environment": (
        r"<p>\begin{equation} x = 1 \end{equation}</p>",
        r"$$\begin{equation} x = 1 \end{equation}$$",
    ),
    "environment with rows": (
        r"<p>a \begin{align*} x &amp;= 1 \\ y &amp;= 2 \end{align*} b</p>",
        r"a $$\begin{align*} x &= 1 \\ y &= 2 \end{align*}$$ b",
    ),
    "environment in an environment": (
        r"<p>\begin{equation}\begin{cases} 1 \\ 2 \end{cases}\end{equation}</p>",
        r"$$\begin{equation}\begin{cases} 1 \\ 2 \end{cases}\end{equation}$$",
    ),
    "environment that is no formula": (r"<p>\begin{itemize} a \end{itemize}</p>", r"\begin{itemize} a \end{itemize}"),
    "dollars in words inside a formula": (
        r"<p>\(x \text{ if $n$ is odd}\)</p>",
        r"$x \text{ if \(n\) is odd}$",
    ),
    "braces over a closing delimiter": (CONFIGURED + r"<p>$a \text{ is $b$ }$ ok</p>", r"$a \text{ is \(b\) }$ ok"),
}
CONFIGURATIONS = {
    "MathJax 2, other delimiters": (
        "<script type='text/x-mathjax-config'>MathJax.Hub.Config({tex2jax:{inlineMath:[['@','@']]}})</script>"
        "<p>so @x_1@ is</p>",
        "so $x_1$ is",
    ),
    "MathJax 3": (
        "<script>window.MathJax = {tex: {inlineMath: [['$', '$'], ['\\\\(', '\\\\)']]}};</script><p>$n$, \\(m\\)</p>",
        "$n$, $m$",
    ),
    "MathJax 4": (
        "<script>MathJax = {tex: {inlineMath: {'[+]': [['$', '$']]}}};</script><p>$n$, \\(m\\)</p>",
        "$n$, $m$",
    ),
    "KaTeX auto-render": (
        "<script>renderMathInElement(document.body, {delimiters: [{left: '%%', right: '%%', display: true}]});"
        "</script><p>%%n%%</p>",
        "$$n$$",
    ),
    "AsciiMath": (
        '<script src="/MathJax.js?config=AM_CHTML"></script><p>so `x/2` is</p>',
        r"so $\frac{x}{2}$ is",
    ),
    "escaped dollars": (
        "<script>MathJax={tex:{inlineMath:[['$','$']],processEscapes:true}}</script><p>\\$5 for $n$</p>",
        r"\$5 for $n$",
    ),
}
UNTOUCHED = {
    "prices": ("<p>from $5 to $10 and $1,000</p>", "from $5 to $10 and $1,000"),
    "prices where dollars delimit": (CONFIGURED + "<p>from $5 to $10 each</p>", "from $5 to $10 each"),
    "a range of prices": (CONFIGURED + "<p>it costs $5-$10 now</p>", "it costs $5-$10 now"),
    "two currencies": (CONFIGURED + "<p>US$ 3,000 or A$ 500</p>", "US$ 3,000 or A$ 500"),
    "prices next to a formula": (CONFIGURED + "<p>for $5, $x_1$ of it</p>", r"for \$5, $x_1$ of it"),
    "shell": ("<p>$HOME and $PATH</p>", "$HOME and $PATH"),
    "code": (CONFIGURED + "<p>a <code>$x$</code> is $x$</p>", "a $x$ is $x$"),
    "code before": (r"<pre>\(x\)</pre><p>no</p>", r"\(x\) no"),
    "a page's own marks": (f"<p>a{START}$b${END}c</p>", "a$b$c"),
}
ALL = ELEVEN | SCRIPTS | MATHJAX | OTHERS | BRACKETS | CONFIGURATIONS | UNTOUCHED


@pytest.mark.parametrize("name", ALL)
def test_each_encoding_becomes_latex_between_dollars(name: str) -> None:
    source, expected = ALL[name]
    assert read(f"<html><body>{source}</body></html>") == expected


def test_no_two_fixtures_have_one_name() -> None:
    groups = (ELEVEN, SCRIPTS, MATHJAX, OTHERS, BRACKETS, CONFIGURATIONS, UNTOUCHED)
    assert len(ALL) == sum(map(len, groups)) >= 76
    assert len(ELEVEN) == 11


@pytest.mark.parametrize("name", [n for n in ALL if n not in UNTOUCHED and "$" in ALL[n][1]])
def test_every_page_with_a_formula_is_worth_reading(name: str) -> None:
    source, _ = ALL[name]
    only_dollars = CONFIGURED in source or "renderMath" in source or "MathJax" in source
    assert may_have_math(source) or only_dollars


def test_pages_without_formulas_are_not_worth_reading() -> None:
    assert not may_have_math("<p>Math.floor(x) and the text of latex gloves for $5</p>")


def test_what_hid_a_formula_hides_it_no_longer() -> None:
    source = f'<p><span style="display: none" aria-hidden="true"><math>{SQUARE}</math></span></p>'
    tree = HTMLTree.parse(source)
    assert write_out_math(tree, source).formulas == 1
    assert tree.body is not None
    assert "none" not in tree.body.html
    assert "hidden" not in tree.body.html


def test_a_page_without_a_body_has_no_formulas() -> None:
    assert read("") == ""


@pytest.mark.parametrize(
    ("address", "alt", "classes", "latex"),
    [
        ("https://latex.codecogs.com/gif.latex?\\bg_white&space;\\large&space;x", "", "", "x"),
        ("https://math.now.sh/?from=x%2By", "", "", "x+y"),
        ("data:image/png;base64,codecogs.com/?x", "x", "", None),
        ("a.png", "", "latex", None),
        ("a.png", "x", "latexlike", None),
        ("codecogs.com/?" + "x" * 9000, "", "", None),
    ],
)
def test_images_are_read_by_address_or_by_class(address: str, alt: str, classes: str, latex: str | None) -> None:
    assert image_formula(address, alt, classes) == latex


@given(st.lists(st.tuples(st.text(alphabet="ab $\\\n", max_size=8), st.sampled_from(["x", "a_1", r"\text{$n$}"]))))
def test_dollars_that_delimit_can_be_told_from_dollars_that_do_not(pieces: list[tuple[str, str]]) -> None:
    text = "".join(before + marked(latex, display=False) for before, latex in pieces)
    done = unmark(text)
    bare = done.replace("\\$", "")
    assert not pieces or bare.count("$") == 2 * len(pieces)
    assert not any(mark in done for mark in (START, END, CODE_START, CODE_END))


@given(st.text(alphabet=f"ab${START}{END}{CODE_START}{CODE_END}\\", max_size=30))
def test_no_mark_outlives_the_end(text: str) -> None:
    assert not any(mark in unmark(text) for mark in (START, END, CODE_START, CODE_END))


def test_a_formula_is_one_line_and_ends_in_no_backslash() -> None:
    assert marked(" a\n +\t b \\", display=False) == f"{START}$a + b${END}"
    assert marked(" \n ", display=True) == ""
