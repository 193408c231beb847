"""Quality rules on English web pages, on one core: ours beside datatrove's filters with the same sources.

Usage: OMP_NUM_THREADS=1 python benchmarks/curate_rules.py CORPUS [ROUNDS [datatrove=PYTHON]]

CORPUS is what `libertas gather` made of a web archive; its documents in English are what is judged, from memory.
Every system is a process of its own and takes turns with the others for ROUNDS (5) rounds; MB/s are of UTF-8 by
computing time, the median counts. Ours measures every rule of every document; datatrove stops at the first that speaks.
`agreement` is the share of documents on which both say the same, by family: Gopher quality, Gopher repetition, FineWeb
(datatrove with the paper's 0.1 for characters in duplicate lines). C4 is timed but not compared: datatrove asks for
5 sentences and 3 words a line, ours for the 3 and 5 of C4's released code. PYTHON has datatrove[processing]
0.10.1. Prints one JSON line per system.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
WARM = 20
"""Documents that are judged before the clock starts."""
FAMILIES = ("gopher quality", "gopher repetition", "fineweb")

Judge = Callable[[str], dict[str, bool]]
"""By family, whether a text stays."""


def by_libertas(*names: str) -> Judge:
    """Our rules; those of Gopher about repetition are those of table A1."""
    from libertas.curate.rules.analysis import Analysis
    from libertas.curate.rules.rule import CODE, Wanted
    from libertas.curate.rules.table import QUALITY, REPETITION, chosen_rules
    from libertas.document import Document

    rules = [rule for rule in chosen_rules(names, Wanted()) if rule.applies != CODE]
    families = {QUALITY: "gopher quality", REPETITION: "gopher repetition"}

    def judge(text: str) -> dict[str, bool]:
        analysis = Analysis(Document("", text, {"language": "en"}))
        stays = dict.fromkeys((*FAMILIES, "c4"), True)
        for rule in rules:
            value = rule.function(analysis)
            if value is not None and rule.reason(value):
                stays[families.get(rule.source, rule.name.split("_")[0])] = False
        return stays

    return judge


def by_datatrove() -> Judge:
    """Its filters with their own numbers, but for the one that differs from the paper."""
    from datatrove.data import Document
    from datatrove.pipeline.filters.c4_filters import C4QualityFilter
    from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter
    from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter
    from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter

    filters = {
        "gopher quality": GopherQualityFilter(),
        "gopher repetition": GopherRepetitionFilter(),
        "fineweb": FineWebQualityFilter(char_duplicates_ratio=0.1),
        "c4": C4QualityFilter(),  # the last, because it changes the text
    }

    def judge(text: str) -> dict[str, bool]:
        document = Document(text=text, id="")
        return {name: each.filter(document) is True for name, each in filters.items()}

    return judge


SYSTEMS: dict[str, Callable[[], Judge]] = {
    "libertas, default rules": lambda: by_libertas("default"),
    "libertas, gopher c4 fineweb": lambda: by_libertas("gopher", "c4", "fineweb"),
    "datatrove, gopher c4 fineweb": by_datatrove,
}


def child(system: str, file: Path) -> None:
    """Judge all texts once and print the speed and the verdicts."""
    texts: list[str] = json.loads(file.read_text(encoding="utf-8"))
    judge = SYSTEMS[system]()
    for text in texts[:WARM]:
        judge(text)
    began = time.process_time()
    verdicts = [judge(text) for text in texts]
    seconds = time.process_time() - began
    rate = sum(len(text.encode()) for text in texts) / seconds / 1e6
    print(json.dumps({"rate": rate, "verdicts": [[v[f] for f in FAMILIES] for v in verdicts]}))


def main(corpus: Path, rounds: int, pythons: dict[str, str]) -> None:
    """Let the systems take turns, and compare what they said."""
    from libertas.corpus import Corpus

    texts = [document.text for document in Corpus.open(corpus) if document.meta.get("language") == "en"]
    rates: dict[str, list[float]] = {}
    verdicts: dict[str, list[list[bool]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        for _ in range(rounds):
            for system in SYSTEMS:
                python = pythons.get(system.split(",")[0], sys.executable if system.startswith("libertas") else "")
                if python:
                    command = [python, __file__, "--child", system, str(file)]
                    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                    rates.setdefault(system, []).append(said["rate"])
                    verdicts[system] = said["verdicts"]
    ours = verdicts["libertas, gopher c4 fineweb"]
    for system, found in rates.items():
        line: dict[str, object] = {
            "benchmark": "curate_rules",
            "system": system,
            "documents": len(texts),
            "megabytes": round(sum(len(text.encode()) for text in texts) / 1e6, 2),
            "megabytes_per_second": round(statistics.median(found), 2),
        }
        if not system.startswith("libertas"):
            line["agreement"] = {
                family: round(statistics.mean(a[n] == b[n] for a, b in zip(ours, verdicts[system], strict=True)), 4)
                for n, family in enumerate(FAMILIES)
            }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        peers = dict(argument.split("=", 1) for argument in sys.argv[3:])
        main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else ROUNDS, peers)
