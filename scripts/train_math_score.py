"""Trains the math score of `libertas gather`: `libertas/gather/models/math.safetensors`.

    python scripts/train_math_score.py DATA MANUALS

DATA is the folder of real test data (its `documents`, `text`, `eval` and `web` are used). MANUALS has gap-doc,
maxima-doc and python-mpmath-doc, unpacked with `dpkg-deb -x`, and installation-guide-amd64. Each text belongs to a
source, and a source is all mathematics or none. First every source is judged by weights that were trained without it,
which gives precision and recall; then the weights that are kept are trained on all sources. Of benchmarks only
ProofNet's validation theorems are used, on which nobody is tested. Scores are stretched so that they are true
probabilities for sources that were left out.
"""

import html
import json
import pydoc
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sympy
import torch
from blake3 import blake3
from fastwarc.warc import ArchiveIterator, WarcRecordType
from safetensors.numpy import save_file

from libertas.gather import mathscore
from libertas.gather.language import identify
from libertas.gather.mathscore import ROWS_BITS, hashed_words
from libertas.gather.normalize import decode
from libertas.gather.page import page_text

MATH_MARKS = re.compile(r"mathjax|katex|<math|math-container|latex\.php|codecogs|tex\.cgi", re.IGNORECASE)
"""Signs of formulas in a page's source: such pages are not taken for texts without mathematics."""
ENVIRONMENT = re.compile(
    r"\\begin\{(equation|align|eqnarray|gather|xymatrix|tikzcd|verbatim)\*?\}.*?\\end\{\1\*?\}", re.DOTALL
)
COMMAND = re.compile(r"\\(?:label|ref|cite|section|begin|end|input|medskip|noindent)(?:\{[^}]*\})?")
TAG = re.compile(r"<(script|style|pre|code)\b.*?</\1>|<[^>]+>", re.DOTALL)
FORMULA_IN_DOC = re.compile(r":math:|\.\. math|\$|`[a-z]`")
ROLE = re.compile(r"(?::math:)?`([^`]*)`")
LENGTHS = (150, 300, 700, 1500)
MOST_PIECES = 1500
"""Of one source."""
EPOCHS = 15
LEAST = (0.17, 0.5, 0.8)
"""Scores whose precision and recall are printed."""
WEIGHT_DECAY = 0.0005
LEARNING_RATE = 0.05


def mathematics(data: Path, manuals: Path) -> dict[str, list[str]]:
    """Paragraphs of sources that are mathematics."""
    tex = (data / "documents/stacks-categories.tex").read_text("utf-8")
    proofs = [json.loads(line) for line in (data / "eval/proofnet_valid.jsonl").open(encoding="utf-8")]
    book = page_text((data / "documents/mathjax-logic.html").read_text("utf-8")).text
    return {
        "stacks": [COMMAND.sub(" ", p) for p in ENVIRONMENT.sub(" ", tex).split("\n\n")],
        "proofnet": [COMMAND.sub(" ", p["nl_statement"] + " " + p["nl_proof"]) for p in proofs],
        "logic book": book.split("\n"),
        "gap": list(paragraphs(manuals.glob("gap-doc/usr/share/gap/doc/ref/*.html"))),
        "mpmath": list(paragraphs(manuals.glob("python-mpmath-doc/usr/share/doc/*/html/functions/*.html"))),
        "maxima": list(paragraphs(manuals.glob("maxima-doc/usr/share/doc/maxima-doc/html/*.html"))),
        "sympy": list(docstrings(Path(sympy.__file__).parent)),
    }


def others(data: Path, manuals: Path) -> dict[str, list[str]]:
    """Paragraphs of sources without mathematics."""
    web: dict[str, list[str]] = {"web pages 1": [], "web pages 2": []}
    for n, page in enumerate(english_pages(sorted((data / "web").glob("*.warc.gz")))):
        web[f"web pages {n % 2 + 1}"] += page.split("\n")
    modules = ("argparse", "asyncio", "email", "http.server", "logging", "os", "pathlib", "ssl", "tkinter", "unittest")
    return web | {
        "encyclopedia": (data / "text/wikitext-2.valid.txt").read_text("utf-8").replace("<unk>", "").split("\n"),
        "shakespeare": (data / "text/tinyshakespeare.txt").read_text("utf-8").split("\n\n"),
        "installation guide": list(paragraphs(manuals.glob("installation-guide-amd64/usr/share/doc/*/en/*.html"))),
        "python": [p for m in modules for p in pydoc.render_doc(m, renderer=pydoc.plaintext).split("\n\n")],
    }


def docstrings(folder: Path) -> Iterator[str]:
    """Paragraphs with formulas out of the documentation in a package's modules."""
    for module in sorted(folder.rglob("*.py")):
        if "tests" not in module.parts:
            for doc in re.findall(r'"""(.+?)"""', module.read_text("utf-8", "replace"), re.DOTALL):
                plain = (p for p in doc.split("\n\n") if ">>>" not in p and "====" not in p and "----" not in p)
                yield from (ROLE.sub(r"$\1$", p) for p in plain if FORMULA_IN_DOC.search(p))


def paragraphs(pages: Iterator[Path]) -> Iterator[str]:
    """Paragraphs of manuals in HTML."""
    for page in sorted(pages):
        for found in re.findall(r"<p\b[^>]*>(.{40,3000}?)</p>", page.read_text("utf-8", "replace"), re.DOTALL):
            yield html.unescape(TAG.sub(" ", found))


def english_pages(archives: list[Path]) -> Iterator[str]:
    """Texts of English pages without a sign of formulas."""
    for archive in archives:
        with archive.open("rb") as raw:
            for record in ArchiveIterator(raw, record_types=WarcRecordType.response):
                source = decode(record.reader.read(2 << 20), record.http_charset, html=True)
                text = "" if MATH_MARKS.search(source) else page_text(source).text
                if len(text) > 300 and identify(text).language == "en":
                    yield text


def pieces(texts: list[str], rng: random.Random) -> list[np.ndarray]:
    """Paragraphs in a row joined to pieces of several lengths, as rows of the table."""
    found, piece, goal = [], "", rng.choice(LENGTHS)
    for text in texts:
        piece += " " + " ".join(text.split())
        if len(piece) >= goal:
            rows = hashed_words(piece[: 2 * goal])
            if len(rows) >= 20:
                found.append(rows)
            piece, goal = "", rng.choice(LENGTHS)
    rng.shuffle(found)
    return found[:MOST_PIECES]


def train(samples: dict[str, list[np.ndarray]], positive: set[str]) -> tuple[np.ndarray, float]:
    """Logistic regression on mean weights; every source counts the same on its side."""
    torch.manual_seed(0)
    rows, wanted, share = [], [], []
    for source, found in samples.items():
        side = sum((other in positive) == (source in positive) for other in samples)
        rows += found
        wanted += [float(source in positive)] * len(found)
        share += [1 / (2 * side * len(found))] * len(found)
    table = torch.nn.EmbeddingBag(1 << ROWS_BITS, 1, mode="mean")
    torch.nn.init.zeros_(table.weight)
    bias = torch.zeros(1, requires_grad=True)
    steps = torch.optim.Adam([{"params": table.parameters()}, {"params": [bias]}], lr=LEARNING_RATE)
    wanted_N, share_N = torch.tensor(wanted), torch.tensor(share)
    order = np.random.default_rng(0)
    for epoch in range(EPOCHS):
        steps.param_groups[0]["lr"] = LEARNING_RATE * 8 * (1 - epoch / EPOCHS)
        for batch in np.array_split(order.permutation(len(rows)), max(1, len(rows) // 512)):
            flat = torch.from_numpy(np.concatenate([rows[n] for n in batch]).astype(np.int64))
            starts = torch.from_numpy(np.cumsum([0, *(len(rows[n]) for n in batch[:-1])]))
            logits = table(flat, starts)[:, 0] + bias
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted_N[batch], reduction="none")
            loss = (losses * share_N[batch]).sum() * len(rows) / len(batch)
            loss = loss + WEIGHT_DECAY * table.weight.square().sum() / 1000
            steps.zero_grad()
            loss.backward()
            steps.step()
    return table.weight.detach().numpy()[:, 0], float(bias)


def logits(found: list[np.ndarray], weights: np.ndarray, bias: float) -> np.ndarray:
    """Of each piece."""
    return np.array([weights[rows].mean() for rows in found]) + bias


def stretch(given: dict[str, np.ndarray], positive: set[str]) -> tuple[float, float]:
    """Slope and shift of the logits of left-out sources that make them probabilities (Platt scaling)."""
    slope_shift = torch.tensor([1.0, 0.0], requires_grad=True)
    step = torch.optim.LBFGS([slope_shift], max_iter=200)

    def loss() -> torch.Tensor:
        step.zero_grad()
        total = torch.zeros(())
        for name, found in given.items():
            wanted = torch.full((len(found),), float(name in positive))
            moved = torch.tensor(found, dtype=torch.float32) * slope_shift[0] + slope_shift[1]
            side = sum((other in positive) == (name in positive) for other in given)
            total = total + torch.nn.functional.binary_cross_entropy_with_logits(moved, wanted) / side
        total.backward()
        return total

    step.step(loss)
    return float(slope_shift[0].detach()), float(slope_shift[1].detach())


def report(given: dict[str, np.ndarray], slope: float, shift: float, positive: set[str]) -> None:
    """A table of the left-out sources, precision and recall."""
    shares = {}
    print("| source | pieces | mathematics | score >= 0.17 | >= 0.5 | >= 0.8 |\n|---|--:|---|--:|--:|--:|")
    for name, found in given.items():
        chances = 1 / (1 + np.exp(-found * slope - shift))
        shares[name] = [float((chances >= least).mean()) for least in LEAST]
        cells = " | ".join(f"{100 * share:.1f} %" for share in shares[name])
        print(f"| {name} | {len(found)} | {'yes' if name in positive else 'no'} | {cells} |")
    for n, least in enumerate(LEAST):
        true = float(np.mean([shares[name][n] for name in shares if name in positive]))
        false = float(np.mean([shares[name][n] for name in shares if name not in positive]))
        print(
            f"score >= {least}: precision {true / (true + false):.3f}, recall {true:.3f} (each source counts the same)"
        )


def main() -> None:
    """Judge every source by the others, print a table, and save weights from all."""
    data, manuals = map(Path, sys.argv[1:3])
    rng = random.Random(0)
    positive = mathematics(data, manuals)
    samples = {name: pieces(texts, rng) for name, texts in (positive | others(data, manuals)).items()}
    given = {}
    for name, found in samples.items():
        weights, bias = train({other: s for other, s in samples.items() if other != name}, set(positive))
        given[name] = logits(found, weights, bias)
    slope, shift = stretch(given, set(positive))
    report(given, slope, shift, set(positive))
    weights, bias = train(samples, set(positive))
    bias = bias * slope + shift
    save_file({"weights": (weights * slope).astype(np.float16)}, mathscore.MATH_MODEL, {"bias": repr(bias)})
    digest = blake3(mathscore.MATH_MODEL.read_bytes()).hexdigest()
    source = Path(mathscore.__file__)
    line = f'MATH_MODEL_BLAKE3 = "{digest}"'
    source.write_text(re.sub(r'^MATH_MODEL_BLAKE3 = "\w*"', line, source.read_text(), flags=re.MULTILINE))
    print(f"{mathscore.MATH_MODEL}: {mathscore.MATH_MODEL.stat().st_size:,} bytes, blake3 {digest}; slope {slope:.2f}")


if __name__ == "__main__":
    main()
