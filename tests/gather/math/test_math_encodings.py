"""Formulas that pages encode in elements, attributes, scripts and images."""

import re
from pathlib import Path

import pytest
from math_reading import formulas_of, read_page

from libertas.gather.math.encodings import may_have_math
from libertas.gather.math.marks import MARKS

MML = '<math xmlns="http://www.w3.org/1998/Math/MathML"{}>{}</math>'
ANNOTATED = MML.format(
    "",
    "<semantics><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow>"
    '<annotation encoding="application/x-tex">x^2</annotation></semantics>',
)
ASSISTIVE = (
    f'<mjx-assistive-mml display="inline">{MML.format("", "<mi>x</mi><mo>=</mo><mn>1</mn>")}</mjx-assistive-mml>'
)
CHTML = '<mjx-math class="MJX-TEX" aria-hidden="true"{}><mjx-mi><mjx-c class="mjx-c1D465"></mjx-c></mjx-mi></mjx-math>'
ASCII_PAGE = '<script src="/MathJax.js?config=AM_CHTML"></script>'
DOLLARS = '<script type="text/x-mathjax-config">MathJax.Hub.Config({tex2jax: {inlineMath: [["$","$"]]}});</script>'

ENCODINGS: list[tuple[str, str, str]] = [
    # the eleven encodings
    ("MathML with annotation", ANNOTATED, "$x^2$"),
    ("MathML with alttext", MML.format(r' alttext="\frac{a}{b}"', "<mi>?</mi>"), r"$\frac{a}{b}$"),
    ("plain MathML", MML.format("", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"), r"$\frac{a}{b}$"),
    ("MathJax 2 script", '<script type="math/tex">E=mc^2</script>', "$E=mc^2$"),
    ("KaTeX", f'<span class="katex"><span class="katex-mathml">{ANNOTATED}</span>'
        '<span class="katex-html" aria-hidden="true"><span class="base">x2</span></span></span>', "$x^2$"),
    ("CodeCogs image", r'<img src="https://latex.codecogs.com/gif.latex?%5Cfrac%7B1%7D%7B2%7D">', r"$\frac{1}{2}$"),
    ("WordPress image", r'<img src="https://s0.wp.com/latex.php?latex=x%5E2&bg=fff" alt="x^2" class="latex">', "$x^2$"),
    ("Wikipedia", '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" '
        'style="display: none;"><math alttext="{\\displaystyle N}"><semantics><mi>N</mi><annotation '
        'encoding="application/x-tex">{\\displaystyle N}</annotation></semantics></math></span><img src="/n.svg" '
        'class="mwe-math-fallback-image-inline" aria-hidden="true" alt="N"></span>', "$N$"),
    ("AsciiMath script", '<script type="math/asciimath">1/2</script>', r"$\frac{1}{2}$"),
    ("mimetex", '<img src="/cgi-bin/mimetex.cgi?x%5E2+y">', "$x^2+y$"),
    ("delimiters in text", r"\(x^2\)", "$x^2$"),
    # MathJax
    ("MathJax 2 display script", '<script type="math/tex; mode=display">a<b</script>', "$$a<b$$"),
    ("MathJax 2 rendered", '<span class="MathJax_Preview">x2</span><span class="MathJax" id="MathJax-Element-1-Frame">'
        f'<nobr>x2</nobr><span class="MJX_Assistive_MathML">{ANNOTATED}</span></span>'
        '<script type="math/tex" id="MathJax-Element-1">x^2</script>', "$x^2$"),
    ("MathJax 2 rendered display", '<span class="MathJax_Preview"></span><div class="MathJax_Display"><span '
        'class="MathJax">y</span></div><script type="math/tex; mode=display">y</script>', "$$y$$"),
    ("MathJax 2 without its script", '<span class="MathJax" data-mathml="&lt;math&gt;&lt;msqrt&gt;&lt;mi&gt;x'
        '&lt;/mi&gt;&lt;/msqrt&gt;&lt;/math&gt;"><nobr>√x</nobr></span>', r"$\sqrt{x}$"),
    ("MathJax 2 MathML script", '<script type="math/mml"><math display="block"><mi>x</mi></math></script>', "$$x$$"),
    ("MathJax 2 CDATA", '<script type="math/tex">% <![CDATA[\nx<1 %]]></script>', "$x<1$"),
    ("MathJax 3 assistive MathML", f"<mjx-container>{CHTML.format('')}{ASSISTIVE}</mjx-container>", "$x=1$"),
    ("MathJax 3 display", f'<mjx-container display="true">{CHTML.format("")}{ASSISTIVE}</mjx-container>', "$$x=1$$"),
    ("MathJax 4 data-latex", "<mjx-container>" + CHTML.format(' data-latex="x=1"') + "</mjx-container>", "$x=1$"),
    ("MathJax 4 data-latex below", '<mjx-container display="true"><mjx-math data-latex="\\alpha=1"><mjx-mi data-latex='
        f'"\\alpha"></mjx-mi></mjx-math>{ASSISTIVE}</mjx-container>', r"$$\alpha=1$$"),
    ("MathJax data-tex", f'<mjx-container data-tex="a_1">{CHTML.format("")}</mjx-container>', "$a_1$"),
    ("MathJax data-mml", '<mjx-container data-mml="<math><mi>q</mi></math>"><svg></svg></mjx-container>', "$q$"),
    ("mathjax element", "<mathjax>#x^2#</mathjax>", "$x^2$"),
    # KaTeX
    ("KaTeX display", '<span class="katex-display"><span class="katex"><span class="katex-mathml">'
        f'{ANNOTATED}</span><span class="katex-html">x2</span></span></span>', "$$x^2$$"),
    ("KaTeX MathML only", f'<span class="katex">{ANNOTATED}</span>', "$x^2$"),
    ("KaTeX error", r'<span class="katex-error" title="ParseError">\foo{x}</span>', r"$\foo{x}$"),
    ("WordPress KaTeX", '<span class="wp-katex-eq" data-display="false">a_n</span>', "$a_n$"),
    ("WordPress KaTeX display", '<span class="wp-katex-eq" data-display="true">a_n</span>', "$$a_n$$"),
    # MathML
    ("MathML block", MML.format(' display="block"', "<mi>x</mi>"), "$$x$$"),
    ("MathML with a prefix", "<m:math><m:msup><m:mi>x</m:mi><m:mn>2</m:mn></m:msup></m:math>", "$x^{2}$"),
    ("MathML with another prefix", "<mml:math><mml:mi>x</mml:mi><mml:mspace/><mml:mi>y</mml:mi></mml:math>", "$xy$"),
    ("MathML alttext of words", MML.format(' alttext="x squared"', "<msup><mi>x</mi><mn>2</mn></msup>"), "$x^{2}$"),
    # Wikipedia
    ("Wikipedia image only", '<span class="mwe-math-element"><img class="mwe-math-fallback-image-inline" '
        'alt="{\\displaystyle a+b}"></span>', "$a+b$"),
    ("Wikipedia display", '<div class="mwe-math-element"><div class="mwe-math-mathml-display" style="display:none">'
        '<math display="block" alttext="{\\displaystyle a}"></math></div><img alt="a"></div>', "$$a$$"),
    ("Wikipedia bare image", '<img class="mwe-math-fallback-image-inline" alt="{\\textstyle \\sum x}">', r"$\sum x$"),
    ("Wikipedia old image", '<img class="tex" alt="\\pi r^2" src="/math/a/b.png">', r"$\pi r^2$"),
    ("display style within", '<img class="tex" alt="{\\displaystyle a} + {b}">', r"${\displaystyle a} + {b}$"),
    # images
    ("CodeCogs svg", r'<img src="//latex.codecogs.com/svg.latex?\inline&space;x&plus;y">', "$x+y$"),
    ("CodeCogs png", r'<img src="https://latex.codecogs.com/png.latex?\dpi{150}&space;\bg_white&space;\large&space;x_1">',
        "$x_1$"),
    ("CodeCogs image", r'<img src="https://latex.codecogs.com/png.image?\dpi{110}\bg{white}a^2">', "$a^2$"),
    ("CodeCogs local", r'<img src="/images/math/codecogs/abc.png" alt="\beta">', r"$\beta$"),
    ("WordPress image without alt", "<img src='https://s0.wp.com/latex.php?latex=a%2Bb&bg=ffffff&s=0'>", "$a+b$"),
    ("WordPress alone", r'<img class="latex" src="latex.php?latex=x" alt="\displaystyle x=1">', "$$x=1$$"),
    ("mathtex", "<img src='/cgi-bin/mathtex.cgi?%5Calpha'>", r"$\alpha$"),
    ("tex.cgi", "<img src='http://x.org/tex.cgi?y_0'>", "$y_0$"),
    ("Google chart", "<img src='https://chart.googleapis.com/chart?cht=tx&amp;chl=x%5E2'>", "$x^2$"),
    ("Zhihu", "<img src='https://www.zhihu.com/equation?tex=a%3Db' alt='a=b'>", "$a=b$"),
    ("GitHub", "<img src='https://render.githubusercontent.com/render/math?math=%5Cpi'>", r"$\pi$"),
    ("QuickLaTeX", '<img class="ql-img-displayed-equation quicklatex" alt="\\[x=2\\]" src="a.png">', "$$x=2$$"),
    ("CK-12", '<img class="x-ck12-math" alt="3x+1" src="a.png">', "$3x+1$"),
    ("alt with dollars", '<img class="latex" alt="$k$" src="a.png">', "$k$"),
    # elements with text or attributes
    ("Khan's tex", '<span class="tex" data-expr="x_1">rendered</span>', "$x_1$"),
    ("StackExchange", '<span class="math-container">$$x$$</span>', "$$x$$"),
    ("StackExchange inline", '<span class="math-container">$x$</span>', "$x$"),
    ("StackExchange bare", '<span class="math-container">x^2</span>', "$$x^2$$"),
    ("Sphinx", '<span class="math notranslate nohighlight">\\(\\Bbb R\\)</span>', r"$\Bbb R$"),
    ("Sphinx display", '<div class="math notranslate nohighlight">\\[a\n\\]</div>', "$$a$$"),
    ("pandoc", '<span class="math inline">x^2</span>', "$x^2$"),
    ("pandoc display", '<span class="math display">x^2</span>', "$$x^2$$"),
    ("Arithmatex", '<div class="arithmatex">\\[\\int f\\]</div>', r"$$\int f$$"),
    ("GitLab", '<pre class="js-render-math" data-math-style="display">a^2</pre>', "$$a^2$$"),
    ("Quill", '<span class="ql-formula" data-value="e^x">ex</span>', "$e^x$"),
    ("TeX error", '<span class="texerror">\\frac{1</span>', r"$\frac{1$"),
    # text
    ("display brackets", r"\[x\]", "$$x$$"),
    ("double dollars", "$$x=1$$", "$$x=1$$"),
    ("environment", r"\begin{equation}x=1\end{equation}", r"$$\begin{equation}x=1\end{equation}$$"),
    ("align", r"\begin{align*}a&amp;=b\\c&amp;=d\end{align*}", r"$$\begin{align*}a&=b\\c&=d\end{align*}$$"),
    ("forum itex", "[itex]v^2[/itex]", "$v^2$"),
    ("forum tex", "[tex]v^2[/tex]", "$$v^2$$"),
    ("forum math", "[math]v^2[/math]", "$v^2$"),
    ("forum latex", "[latex]v^2[/latex]", "$v^2$"),
    ("WordPress text", "$latex x^2$", "$x^2$"),
    ("configured dollar", f"{DOLLARS}$n$", "$n$"),
    ("AsciiMath in text", f"{ASCII_PAGE}`sqrt(x)`", r"$\sqrt{x}$"),
    ("across a line break", r"\[a<br>+b\]", "$$a +b$$"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "html", "expected"), ENCODINGS, ids=[f"{i}-{e[0]}" for i, e in enumerate(ENCODINGS)])
def test_an_encoded_formula_comes_out_once_as_latex_and_nothing_else_does(name: str, html: str, expected: str) -> None:
    assert read_page(f"<p>{html}</p>") == expected


@pytest.mark.parametrize(("name", "html", "expected"), ENCODINGS, ids=[f"{i}-{e[0]}" for i, e in enumerate(ENCODINGS)])
def test_words_around_an_encoded_formula_stay_and_the_prefilter_sees_it(name: str, html: str, expected: str) -> None:
    if name == "WordPress alone":
        expected = "$x=1$"  # display only where it is alone
    page = f"<div>before {html} after</div>"
    assert " ".join(read_page(page).split()) == f"before {expected} after"
    assert may_have_math(page) or name in ("configured dollar", "double dollars", "StackExchange inline")


def test_there_are_eleven_encodings_and_more_than_sixty_pages() -> None:
    assert [name for name, _, _ in ENCODINGS].index("delimiters in text") == 10
    assert len(ENCODINGS) >= 60


def test_pages_without_formulas_do_not_ask_for_math() -> None:
    for page in ("<p>costs $5 and $10</p>", "<script>/\\(a|b\\)/.test(x)</script>", "<p class='aftermath'>text</p>",
        "<p>the texture of latex gloves</p>", "<script>a.replace(/\\[(.*)\\]/, b)</script>"):  # fmt: skip
        assert not may_have_math(page)


def test_formulas_in_code_stay_as_they_are() -> None:
    page = "<p>\\(x\\) but <code>$a$ \\(b\\)</code> and $5</p><pre><code>\\[c\\] <b>$d$</b></code> $e$</pre>"
    assert read_page(page) == "$x$ but $a$ \\(b\\) and \\$5\n\\[c\\] $d$ $e$"


def test_a_hidden_parent_of_a_formula_is_shown_and_other_hidden_text_stays_hidden() -> None:
    page = f'<p>a <span style="display:none">{ANNOTATED}</span><span style="display:none">no</span> b</p>'
    assert read_page(page, show="[style]") == "a $x^2$ b"


def test_marks_that_a_page_has_of_its_own_are_taken_away() -> None:
    assert read_page("<p>a\ue000b &#xE001; <math><mi>x\ue002</mi></math></p>") == "ab  $x$"


def test_neighbors_are_kept_apart_and_nested_dollars_rewritten() -> None:
    assert read_page("<p><math><mi>a</mi></math><math><mi>b</mi></math></p>") == "$a$ $b$"
    assert read_page('<p><script type="math/tex">\\text{if $x$}</script></p>') == r"$\text{if \(x\)}$"


def test_a_formula_nested_in_its_own_kind_counts_once() -> None:
    assert read_page("<p>" + "<math>" * 50 + "<mi>x</mi>" + "</math>" * 50) == "$x$"


def test_every_formula_of_a_page_with_mathjax_is_there_once(shared_data: Path) -> None:
    raw = (shared_data / "documents" / "mathjax-logic.html").read_bytes().decode()
    sources = re.findall(r'<span class="math[^"]*">\\\((.*?)\\\)</span>', raw, re.DOTALL)
    sources += re.findall(r'<div class="math[^"]*">\s*\\\[(.*?)\\\]</div>', raw, re.DOTALL)
    assert len(sources) >= 50
    unescaped = [" ".join(re.sub("&lt;", "<", re.sub("&gt;", ">", s.replace("&amp;", "&"))).split()) for s in sources]
    assert formulas_of(raw) == unescaped
    text = read_page(raw)
    assert not MARKS.search(text)
    assert "\\(" not in text
