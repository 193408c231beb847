"""Trains the language model of `libertas gather`: `libertas/gather/models/language.safetensors`.

    python scripts/train_language_model.py PACKAGES UDHR.jsonl --held-out 0.3  # how good it gets on unseen text
    python scripts/train_language_model.py PACKAGES UDHR.jsonl --save          # the model itself, from all text

PACKAGES is a folder with one folder for each unpacked package, made on Debian 12 by

    apt-get download mediawiki wordpress-l10n vlc-l10n calibre installation-guide-amd64 libgtk-3-common gimp-data \\
        phpmyadmin roundcube-core evolution-common kate5-data gnome-control-center-data gramps digikam-data \\
        homebank-data gnupg-l10n aptitude-common inkscape \\
        $(apt-cache search '^(firefox-esr-l10n|manpages)-' | cut -d' ' -f1)
    for deb in *.deb; do dpkg-deb -x $deb PACKAGES/${deb%%_*}; done
    pip download --no-deps django wagtail && for w in *.whl; do unzip -d PACKAGES/${w%%-*} $w '*.mo'; done

UDHR.jsonl holds paragraphs of the Universal Declaration of Human Rights (`bcp47`, `lid176`, `name`, `text`). The texts
are translations under free licenses (MediaWiki, WordPress, manual pages: GPL; Firefox: MPL-2.0; Django, Wagtail: BSD);
the model holds weights of hashed letter sequences and none of the text.
"""

import argparse
import json
import keyword
import pydoc
import random
import re
import sys
import time
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from blake3 import blake3
from language_sources import code_of, strings
from safetensors.numpy import save_file

from libertas.gather import language
from libertas.gather.ngrams import BITS, grams, letters, main_script
from libertas.gather.script import COMMON, SCRIPTS

Texts = dict[str, dict[str, list[str]]]
"""Class (`sr-Latn`) to source to strings."""
LARGEST = 6_000_000
"""Characters of one class that are read."""
SCRIPT_SHARE = 0.25
"""A language is taken to be written in a script that has this share of its characters, ..."""
DECLARED = 800
"""... or in which the Declaration has so many characters."""
SMALLEST = 1_900
"""Characters of the smallest class, ..."""
FEWEST_LEFT = 1_200
"""... and of those left after what other classes have too is taken out."""
MOST_LANGUAGES = 2
"""A string that stands in more classes says nothing about any of them."""
NOT_TAUGHT = {"ase", "nys", "avk", "ike", "jje", "chn", "ckb-Latn", "vi-Hani", "en-Deva"}
"""Sign writing, jokes, and texts under a wrong name."""
VARIANTS = {"hau": "ha", "cat": "ca", "dip": "din", "knc": "kr", "nhn": "nah", "hms": "hmn", "tdt": "tet"}
LENGTHS = (25, 50, 90, 150, 250, 400)
"""Characters of the pieces that are taught; a third more or less."""
CLASS_CHARACTERS = 260_000
"""Characters of a class in one epoch at most, divided among its sources; times `--scale`."""
UDHR_TIMES = 3
"""How often a paragraph of the Declaration is taught in an epoch: it is prose, unlike programs' messages."""
NOTHING = 9_000
"""Pieces in no language in one epoch; times `--scale`."""
DIMENSIONS = 32
BATCH = 256
LEARNING_RATE = 0.1
PRIOR = 0.7
"""Power of a class's share of all characters that is its prior: about how often it will be met."""
NO_TEXT = 3_000_000
"""Characters that `und` counts with in that."""
IMPOSSIBLE = -1e4
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*$", re.DOTALL | re.MULTILINE)
"""Of scripts and styles."""
UNITS = (
    "kg km cm mm m s ms GB MB KB px pt em EUR USD kWh Hz MHz dpi rgb hex id nr no url http https www com".split()  # noqa: SIM905
)


def read(folder: Path, udhr: Path, unseen: set[str]) -> Texts:
    """All usable strings without those of the Declaration's paragraphs that are kept for the test."""
    found: Texts = defaultdict(lambda: defaultdict(list))
    size, once = Counter[str](), set[tuple[str, str]]()
    for name, source, text in strings(folder, udhr):
        code, script = name.rsplit("-", 1)
        name = f"{VARIANTS.get(code, code)}-{script}"
        if (name, text) in once or text in unseen or (size[name] > LARGEST and source != "udhr"):
            continue
        once.add((name, text))
        size[name] += len(text)
        found[name][source].append(text)
    return _cleaned(found, size)


def _cleaned(found: Texts, size: Counter[str]) -> Texts:
    """Classes in the scripts of their languages; strings that are in one or two classes, and not English in others."""
    english = {text for texts in found["en-Latn"].values() for text in texts}
    spread = Counter(t for sources in found.values() for texts in sources.values() for t in set(texts))
    whole = Counter[str]()
    for name, n in size.items():
        if not name.endswith(COMMON):
            whole[name.rsplit("-", 1)[0]] += n
    kept: Texts = {}
    for name, sources in found.items():
        code, script = name.rsplit("-", 1)
        declared = sum(map(len, sources.get("udhr", ())))
        written = code == "zh" or size[name] >= SCRIPT_SHARE * whole[code] or declared > DECLARED
        if script == COMMON or not written or size[name] < SMALLEST or {code, name} & NOT_TAUGHT:
            continue
        kept[name] = {
            source: [
                t
                for t in texts
                if source == "udhr" or (spread[t] <= MOST_LANGUAGES and (code == "en" or t not in english))
            ]
            for source, texts in sources.items()
        }
        if code == "en":
            kept[name]["pydoc"] = list(documentation())
    full = {name: sources for name, sources in kept.items() if sum(map(len, chain(*sources.values()))) >= FEWEST_LEFT}
    return dict(sorted(full.items(), key=lambda item: -size[item[0]]))


def documentation() -> Iterator[str]:
    """Pieces of the documentation of every second module of Python: English among identifiers."""
    for module in sorted(n for n in sys.stdlib_module_names if not n.startswith("_"))[::2]:
        if module in ("antigravity", "this", "idlelib", "turtledemo", "lib2to3"):
            continue
        try:
            text = " ".join(pydoc.render_doc(module, renderer=pydoc.plaintext).split())
        except ImportError:
            continue
        yield from (text[at : at + 400] for at in range(0, min(len(text), 40_000), 400))


def program_words(folder: Path) -> list[str]:
    """Pieces of programs: tokens of Python's modules without strings and comments, scripts and styles of MediaWiki."""
    pieces = []
    for path in sorted(Path(json.__file__).parents[1].glob("*.py"))[:120]:
        with tokenize.open(path) as lines:
            tokens = [t.string for t in tokenize.generate_tokens(lines.readline) if t.type in (1, 2, 54)]
        pieces += [" ".join(tokens[at : at + 40]) for at in range(0, len(tokens), 400)]
        names = [t for t in tokens if t.isidentifier() and not keyword.iskeyword(t) and len(t) > 3]
        pieces += [" ".join(names[at : at + 30]) for at in range(0, len(names), 400)]
    for kind in ("*.css", "*.js"):
        for path in sorted(folder.rglob(kind))[:: max(1, sum(1 for _ in folder.rglob(kind)) // 150)]:
            text = " ".join(COMMENT.sub(" ", path.read_text("utf-8", "replace")[:60_000]).split())
            pieces += [text[at : at + 300] for at in range(0, len(text), 3000)]
    return pieces


def nothing(texts: Texts, rng: random.Random, program: list[str]) -> str:
    """A piece in no language: shuffled or random letters, numbers with units, program source."""
    kind = rng.random()
    if kind < 0.25:
        name = rng.choice(
            [n for n in texts if n.endswith(("Latn", "Cyrl", "Grek", "Arab", "Hebr")) and any(texts[n].values())]
        )
        piece = list(rng.choice(rng.choice([t for t in texts[name].values() if t])))
        rng.shuffle(piece)
        return "".join(piece)
    if kind < 0.5:
        alphabet = rng.choice(
            ["abcdefghijklmnopqrstuvwxyz"] * 4 + ["абвгдежзийклмнопрстуфхцчшщъыьэюя", "abcdef0123456789"]
        )
        words = ("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 12))) for _ in range(rng.randint(2, 30)))
        return " ".join(words)
    if kind < 0.65:
        some = rng.sample(UNITS, rng.randint(1, 6))
        return " ".join(f"{rng.randint(0, 999)} {rng.choice(some)}" for _ in range(rng.randint(4, 40)))
    return rng.choice(program)


def pieces(texts: Texts, rng: random.Random, scale: float, program: list[str]) -> Iterator[tuple[str, str]]:
    """One epoch: class and text."""
    for name, sources in texts.items():
        for source, found in sources.items():
            times = UDHR_TIMES if source == "udhr" else 1
            most = CLASS_CHARACTERS * scale * max(1 / len(sources), 0.15)
            left = min(sum(map(len, found)) * times, most)
            order = rng.sample(found, len(found))
            at = 0
            while left > 0 and order:
                goal, piece = int(rng.choice(LENGTHS) * rng.uniform(0.7, 1.3)), order[at]
                at = (at + 1) % len(order)
                while len(piece) < goal and at:
                    piece += " " + order[at]
                    at = (at + 1) % len(order)
                start = rng.randrange(len(piece) - goal) if len(piece) > 1.3 * goal else 0
                piece = piece[start : start + int(1.3 * goal)]
                left -= len(piece) + 20
                yield name, piece
    for _ in range(int(NOTHING * scale)):
        yield f"und-{COMMON}", nothing(texts, rng, program)


class Learner:
    """The model while it is trained: n-gram vectors, one linear layer, and which classes each script may have."""

    def __init__(self, classes: list[str]) -> None:
        """A model that knows nothing of these classes yet; the last is `und`."""
        torch.manual_seed(0)
        self.classes = classes
        self.vectors = torch.nn.EmbeddingBag(1 << BITS, DIMENSIONS, mode="mean", sparse=True)
        torch.nn.init.uniform_(self.vectors.weight, -0.05, 0.05)
        self.layer = torch.nn.Linear(DIMENSIONS, len(classes))
        self.allowed = torch.full((len(SCRIPTS), len(classes)), IMPOSSIBLE)
        for row, name in enumerate(classes):
            script = name.rsplit("-", 1)[1]
            self.allowed[
                slice(None)
                if script == COMMON
                else SCRIPTS.index({"Hans": "Hani", "Hant": "Hani"}.get(script, script)),
                row,
            ] = 0

    def logits(self, batch: list[tuple[np.ndarray, int]]) -> torch.Tensor:
        """One row for each text, given as rows of its n-grams and index of its script."""
        starts = np.cumsum([0, *(len(rows) for rows, _ in batch[:-1])])
        flat = np.concatenate([rows for rows, _ in batch]).astype(np.int64)
        mean = self.vectors(torch.from_numpy(flat), torch.from_numpy(starts))
        return self.layer(mean) + self.allowed[[script for _, script in batch]]

    def train(self, texts: Texts, folder: Path, epochs: int, scale: float) -> None:
        """Adam with a rate that falls linearly to nothing."""
        rng, index, program = random.Random(0), {name: i for i, name in enumerate(self.classes)}, program_words(folder)
        steps = [
            torch.optim.SparseAdam(self.vectors.parameters(), lr=LEARNING_RATE),
            torch.optim.Adam(self.layer.parameters(), lr=LEARNING_RATE),
        ]
        for epoch in range(epochs):
            began, loss_sum = time.perf_counter(), 0.0
            taught = [(seen(text), index[name]) for name, text in pieces(texts, rng, scale, program)]
            taught = [(x, y) for x, y in taught if len(x[0]) and self.allowed[x[1], y] == 0]
            rng.shuffle(taught)
            for at in range(0, len(taught), BATCH):
                batch = taught[at : at + BATCH]
                for step in steps:
                    step.param_groups[0]["lr"] = LEARNING_RATE * (1 - (epoch + at / len(taught)) / epochs) + 1e-5
                    step.zero_grad()
                loss = torch.nn.functional.cross_entropy(
                    self.logits([x for x, _ in batch]), torch.tensor([y for _, y in batch])
                )
                loss.backward()
                for step in steps:
                    step.step()
                loss_sum += loss.item() * len(batch)
            seconds = time.perf_counter() - began
            print(
                f"epoch {epoch + 1}: {len(taught):,} texts, loss {loss_sum / len(taught):.3f}, {seconds:.0f} s",
                flush=True,
            )


def seen(text: str) -> tuple[np.ndarray, int]:
    """What the model sees of a text."""
    codes, kinds = letters(text)
    return grams(codes), SCRIPTS.index(main_script(kinds))


def softening(learner: Learner, rows: list[dict[str, str]]) -> tuple[float, float]:
    """The two numbers that make probabilities true on texts of the test cut at several lengths (least log loss)."""
    index = {name: i for i, name in enumerate(learner.classes)}
    texts = []
    for row in rows:
        for length in (12, 25, 50, 100, 200, 400):
            rows_G, script = seen(row["text"][:length])
            code = code_of(row["bcp47"] if row["bcp47"] != "als" else "sq")
            code = VARIANTS.get(code, code)
            y = index.get(code if code.startswith("zh-") else f"{code}-{SCRIPTS[script]}")
            if row["lid176"] and y is not None and len(rows_G):
                texts.append(((rows_G, script), y))
    with torch.no_grad():
        logits = learner.logits([x for x, _ in texts])
    wanted, root = torch.tensor([y for _, y in texts]), torch.tensor([len(x[0]) for x, _ in texts]).sqrt()[:, None]
    grid = [(a / 10, float(b)) for a in range(5, 41, 5) for b in range(0, 31, 3)]
    return min(grid, key=lambda ab: torch.nn.functional.cross_entropy(logits / (ab[0] + ab[1] / root), wanted).item())


def save(learner: Learner, softened: tuple[float, float], prior: np.ndarray, path: Path) -> None:
    """Vectors as signed bytes, the layer in half precision; puts the digest of the real model into `language.py`."""
    vectors = learner.vectors.weight.detach().numpy()
    scale = float(np.quantile(np.abs(vectors), 0.9999)) / 127
    tensors = {
        "vectors": np.clip(np.round(vectors / scale), -127, 127).astype(np.int8),
        "weights": learner.layer.weight.detach().numpy().astype(np.float16),
        "bias": learner.layer.bias.detach().numpy().astype(np.float16),
        "prior": prior.astype(np.float16),
    }
    about = {"classes": json.dumps(learner.classes), "scale": repr(scale), "softening": json.dumps(softened)}
    save_file(tensors, path, about)
    digest = blake3(path.read_bytes()).hexdigest()
    if path == language.MODEL:
        source = Path(language.__file__)
        line = f'MODEL_BLAKE3 = "{digest}"'
        source.write_text(re.sub(r'^MODEL_BLAKE3 = "\w*"', line, source.read_text(), flags=re.MULTILINE))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {len(learner.classes)} classes, blake3 {digest}")


def main() -> None:
    """Train; with text held out, say how well its languages are told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("udhr", type=Path)
    parser.add_argument(
        "--held-out", type=float, default=0.0, help="share of each text of the Declaration, from its end"
    )
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument(
        "--softening", type=float, nargs=2, default=(1.0, 0.0), help="as a run with --held-out printed it"
    )
    parser.add_argument("--save", type=Path, nargs="?", const=language.MODEL)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.udhr.open(encoding="utf-8")]
    by_text: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_text[row["name"]].append(row)
    test = [row for text in by_text.values() for row in text[round(len(text) * (1 - args.held_out)) :]]
    texts = read(args.packages, args.udhr, {" ".join(row["text"].split()) for row in test})
    classes = [*texts, f"und-{COMMON}"]
    print(f"{len(classes)} classes", flush=True)
    learner = Learner(classes)
    learner.train(texts, args.packages, args.epochs, args.scale)
    softened = tuple(args.softening)
    if test:
        softened = softening(learner, test)
        print("softening", *softened)
    sizes = np.array(
        [sum(len(t) for found in sources.values() for t in found) for sources in texts.values()] + [NO_TEXT]
    )
    prior = PRIOR * np.log(sizes / sizes.sum())
    if args.save:
        save(learner, softened, prior, args.save)


if __name__ == "__main__":
    main()
