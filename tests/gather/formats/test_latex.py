r"""LaTeX files and submissions as texts with their formulas."""

import gzip
import io
import re
import tarfile
from pathlib import Path

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats.latex import read_eprint, read_latex

PAPER = r"""\documentclass{article}
\title{A \emph{Title}\thanks{x}}
\author{Ann Writer\\ Place \and Bob Other}
\newcommand{\R}{\mathbb{R}}
\newcommand{\norm}[2][2]{\|#2\|_{#1}}
\newtheorem{thm}{Theorem}
\begin{document}
\maketitle
\begin{abstract}
Short words.
\end{abstract}
% a comment
\section{One}\label{sec:one}
Let $x \in \R$ and \(y\) % gone
be ``quoted''---see \ref{sec:one} and \cite{a}. 50\% of caf\'e.\footnote{A note.}

\begin{thm}[Main]
We have
\begin{equation}\label{e}
\norm{x} = \norm[1]{y}.
\end{equation}
\end{thm}
\begin{itemize}
\item one
\item two
\end{itemize}
\begin{align*}
a &= b \\
c &= d
\end{align*}
\begin{verbatim}
code % not a comment
  $x$
\end{verbatim}
\begin{tabular}{ll}
a & b \\
\hline
1 & 2
\end{tabular}
\input{other}
$$z$$
\end{document}
not this
"""
PLAIN = r"""A Title

Short words.

One

Let $x \in \mathbb{R}$ and $y$ be “quoted”—see [sec:one] and [a]. 50% of café. (A note.)

Theorem (Main). We have
$$\|x\|_{2} = \|y\|_{1}.$$

- one
- two

$$\begin{align*} a &= b \\ c &= d \end{align*}$$

code % not a comment
  $x$

a | b
1 | 2

$$z$$"""
MARKDOWN = r"""# A Title

Short words.

## One

Let $x \in \mathbb{R}$ and $y$ be “quoted”—see [sec:one] and [a]. 50% of café.[^1]

[^1]: A note.

**Theorem (Main).** We have
$$\|x\|_{2} = \|y\|_{1}.$$

- one
- two

$$\begin{align*} a &= b \\ c &= d \end{align*}$$

```
code % not a comment
  $x$
```

| a | b |
| --- | --- |
| 1 | 2 |

$$z$$"""


def document(words: str) -> bytes:
    return f"\\documentclass{{article}}\n\\begin{{document}}\n{words}\n\\end{{document}}\n".encode()


def text(words: str) -> str:
    found = read_latex(document(words), PLAIN_TEXT)
    assert isinstance(found, Extracted)
    return found.text


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def eprint(body: bytes) -> Extracted:
    found = read_eprint(body, PLAIN_TEXT)
    assert isinstance(found, Extracted)
    return found


def reason(body: bytes) -> str:
    found = read_eprint(body, PLAIN_TEXT)
    assert isinstance(found, Drop)
    return found.reason


@pytest.mark.parametrize(("markdown", "expected"), [(False, PLAIN), (True, MARKDOWN)])
def test_a_paper_reads_as_its_text_with_formulas_and_without_comments(markdown: bool, expected: str) -> None:
    meta = {"author": ["Ann Writer", "Bob Other"], "description": "Short words.", "missing_inputs": ["other"]}
    assert read_latex(PAPER.encode(), ReadMode(markdown=markdown)) == Extracted(expected, "A Title", meta)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (r"\def\x#1{<#1>}\x{a}\x b", "<a><b>"),
        (r"\newcommand\x{a}\renewcommand{\x}{b}\x", "b"),
        (r"\iffalse not \ifx\a\b this\fi either\fi words", "words"),
        (r"\verb|$a$ %b| c", "$a$ %b c"),
        (r"na\"ive \ss{} \o{} \AE", "naïve ß ø Æ"),
        (r"\[x\] \ensuremath{y}", "$$x$$\n$y$"),
        (r"a\%b \$5 \& c", "a%b $5 & c"),
        ("a % b\n  c", "a c"),
        ("$a % b\n c$", "$a c$"),
        (r"\href{http://x.org/a_b}{here} \url{http://y.org/%20}", "here http://y.org/%20"),
        (
            r"\begin{enumerate}\item a \begin{enumerate}\item b\end{enumerate}\item c\end{enumerate}",
            "1. a\n   1. b\n2. c",
        ),
        (r"\begin{comment}no\end{comment}yes", "yes"),
        (r"\unknowncommand{kept}", "kept"),
    ],
)
def test_each_command_is_put_into_words(words: str, expected: str) -> None:
    assert text(words) == expected


def test_a_submission_is_read_from_its_main_file_with_what_it_includes() -> None:
    files = {
        "part.tex": b"Included words.",
        "old.tex": document("\\section{Old}"),
        "ms.tex": document("Begin. \\input{part} \\include{missing} End."),
        "refs.bbl": b"\\bibitem{a}",
    }
    expected = Extracted("Begin. Included words. End.", "", {"missing_inputs": ["missing"]})
    for body in (tar(files), gzip.compress(tar(files))):
        found = eprint(body)
        assert " ".join(found.text.split()) == expected.text
        assert found.meta == expected.meta


def test_a_submission_may_say_which_file_is_the_main_one() -> None:
    files = {"ms.tex": document("Wrong."), "b.tex": document("Right.")}
    for readme, data in (
        ("00README.XXX", b"b.tex toplevelfile\n"),
        ("00README.json", b'{"sources":[{"usage":"toplevel","filename":"b.tex"}]}'),
    ):
        assert eprint(tar(files | {readme: data})).text == "Right."
    for data in (b"[" * 100_000, b"[1]", b'{"sources":[1]}', b"\xff"):
        assert eprint(tar(files | {"00README.json": data})).text == "Wrong."


def test_a_submission_may_be_one_gzipped_file() -> None:
    assert eprint(gzip.compress(document("Words."))).text == "Words."


def test_submissions_without_source_are_dropped_with_the_reason() -> None:
    assert reason(b"%auto-ignore\nThis paper has been withdrawn.") == "withdrawn"
    assert reason(b"%PDF-1.4 words") == "no TeX source"
    assert reason(tar({"a.pdf": b"%PDF"})) == "no TeX source"
    assert reason(gzip.compress(document("Words." * 1000))[:40]) == "damaged archive"
    assert reason(b"") == "no TeX source"


def test_a_submission_that_unpacks_without_end_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.latex.MOST_BYTES", 10_000)
    assert reason(gzip.compress(b"x" * 10_000_000)) == "larger than the cap"


def test_a_sparse_file_of_a_tarball_is_unpacked_no_further_than_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.latex.MOST_BYTES", 1_000_000)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("ms.tex")
        entry.size = 1
        entry.pax_headers = {"GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,1"}
        archive.addfile(entry, io.BytesIO(b"x"))
    assert len(out.getvalue()) < 20_000
    assert reason(out.getvalue()) == "larger than the cap"


def test_names_in_a_tarball_lead_nowhere_outside_of_it() -> None:
    files = {"ms.tex": document("a \\input{/etc/hostname} \\input{../../etc/hostname} b")}
    found = eprint(tar(files))
    assert found.text.split() == ["a", "b"]
    assert len(found.meta["missing_inputs"]) == 2


BOMBS = {
    "doubling": "\\def\\a{ha}"
    + "".join(f"\\def\\{chr(98 + n)}{{\\{chr(97 + n)}\\{chr(97 + n)}}}" for n in range(24))
    + "\\y",
    "itself": "\\def\\a{x\\a}\\a",
    "twice itself": "\\def\\a{\\a\\a}\\a",
    "each other": "\\def\\a{\\b}\\def\\b{\\a x}\\a",
    "arguments": "\\def\\a#1{\\a{#1#1}}\\a{x}",
    "environment": "\\newenvironment{e}{\\begin{e}}{\\end{e}}\\begin{e}",
    "in a formula": "\\def\\a{x\\a}$\\a$",
    "input": "\\input{main}",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_expansion_without_end_is_stopped_and_told_of(bomb: str) -> None:
    found = read_latex(document(f"Before. {BOMBS[bomb]}"), PLAIN_TEXT)
    assert isinstance(found, Extracted)
    assert found.text.startswith("Before.")
    assert found.meta["expansion_stopped"] is True
    assert len(found.text) < 50_000_000


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "$",
        "$$",
        "\\[",
        "\\begin{itemize}\\item ",
        "\\begin{a}",
        "\\end{a}",
        "\\footnote{",
        "\\section{",
        "\\item",
        "\\begin{tabular}{l}a&",
        "\\newcommand{\\a",
        "\\iffalse",
        "\\verb|",
        "\\a[",
        "%",
        "\\",
        "&",
        "\\input{",
        "`",
        "^",
        "\\href{",
        "\\begin{verbatim}",
        "\\(",
        "\\left(",
        "\\frac{",
        "\\title{",
        "\\and ",
        "\ue000",
        "\\begin{document}",
        "\\emph{\\textbf{",
    ],
)
def test_hostile_marks_are_read(piece: str) -> None:
    for markdown in (False, True):
        found = read_latex(document(f"Before. {piece * 2000}"), ReadMode(markdown=markdown))
        assert isinstance(found, Extracted)
        found.text.encode()


def test_a_paper_that_is_cut_off_anywhere_is_read() -> None:
    for at in range(0, len(PAPER), 3):
        found = read_latex(PAPER[:at].encode(), PLAIN_TEXT)
        assert isinstance(found, Extracted)


def test_a_real_chapter_keeps_every_formula_and_no_comment(shared_data: Path) -> None:
    body = (shared_data / "documents" / "stacks-categories.tex").read_bytes()
    found = read_latex(body, PLAIN_TEXT)
    assert isinstance(found, Extracted)
    source = re.sub(r"(?<!\\)%[^\n]*", "", body.decode())
    displays = source.count("$$") // 2
    environments = len(re.findall(r"\\begin\{(?:equation|align|eqnarray|multline)\*?\}", source))
    assert (displays, environments) == (311, 24)
    assert len(re.findall(r"\$\$.*?\$\$", found.text, re.DOTALL)) == displays + environments
    inline = re.sub(r"\$\$.*?\$\$", "", found.text, flags=re.DOTALL)
    assert inline.count("$") == source.replace("$$", "").count("$") == 2 * 5175
    assert "%" not in found.text
    assert "\\label" not in found.text
    assert found.title == "Categories"
    assert found.text.startswith("Categories\n\nIntroduction\n\nCategories were first introduced in [GenEqui].")
