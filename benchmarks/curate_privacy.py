"""How much personal data is found, how much else is taken for it, and how fast? Ours beside its peers.

Usage: python benchmarks/curate_privacy.py TEXT [SYSTEM...]

Quality is on the held-out half of tests/curate/privacy/labelled.jsonl: a span is found where the system claims at least
half of its characters, and a claim is right where half of it is inside labelled spans. This is generous to systems that
know no exact ends; `kinds` names what a system was asked for, and only passages' spans of those kinds count against it,
while a claim upon any labelled span is right. `recall_all` is over all labelled spans. Speed is on TEXT (UTF-8, in
pieces of 5,000 characters), the median of RUNS runs of one process, in its own seconds, so that others on the machine
count less.

Peers, each in an environment of its own: `pip install datatrove`, `pip install scrubadub presidio-analyzer` (Presidio's
recognizers by pattern and check digit alone; its names of people need a model). A system that is not installed is
left out. Prints one JSON line per system.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "curate" / "privacy")]
RUNS = 5
PIECE = 5000
PRESIDIO_PIECES = 40
"""Of the text; the whole would take it minutes."""
Ranges = list[tuple[int, int]]
Find = Callable[[str], Iterable[tuple[int, int]]]
ALL = ("card", "crypto", "email", "iban", "ip", "key", "mac", "national_id", "phone")


def libertas() -> tuple[Find, tuple[str, ...]]:
    find_personal = importlib.import_module("libertas.curate.privacy.find").find_personal
    return lambda text: [(s.start, s.end) for s in find_personal(text)], ALL


def datatrove() -> tuple[Find, tuple[str, ...]]:
    formatter = importlib.import_module("datatrove.pipeline.formatters.pii").PIIFormatter()
    replacers = (formatter.emails_replacer, formatter.ip_replacer)

    def find(text: str) -> Ranges:
        return [m.span() for r in replacers for m in r.regex.finditer(text) if r.validator is None or r.validator(m[0])]

    return find, ("email", "ip")


def scrubadub() -> tuple[Find, tuple[str, ...]]:
    module = importlib.import_module("scrubadub")
    scrubber = module.Scrubber()
    for name in ("credential", "twitter", "url"):
        scrubber.remove_detector(name)
    return lambda text: [(f.beg, f.end) for f in scrubber.iter_filth(text)], (
        "card",
        "email",
        "phone",
    )  # and social security numbers, a part of `national_id`


def presidio() -> tuple[Find, tuple[str, ...]]:
    module = importlib.import_module("presidio_analyzer.predefined_recognizers")
    names = (
        "CreditCard Crypto Email Iban Ip MacAddress Phone UsSsn EsNif EsNie ItFiscalCode PlPesel FiPersonalIdentityCode"
    )
    names += " InAadhaar DeTaxId KrRrn SePersonnummer TrNationalId ZaIdNumber"
    recognizers = [getattr(module, f"{name}Recognizer")() for name in names.split()]

    def find(text: str) -> Ranges:
        found = (r for recognizer in recognizers for r in recognizer.analyze(text, recognizer.supported_entities, None))
        return [(r.start, r.end) for r in found if r.score >= 0.4]

    return find, tuple(k for k in ALL if k != "key")


def quality(
    find: Find, kinds: tuple[str, ...], passages: list[tuple[str, set[tuple[int, int, str]]]]
) -> dict[str, float]:
    right = claimed = found = wanted = everything = found_all = 0
    for text, labels in passages:
        claims = list(find(text))
        claimed_at = {at for start, end in claims for at in range(start, end)}
        labelled_at = {at for start, end, _ in labels for at in range(start, end)}
        right += sum(len(labelled_at & set(range(s, e))) * 2 >= e - s for s, e in claims)
        claimed += len(claims)
        hits = [(kind, len(claimed_at & set(range(s, e))) * 2 >= e - s) for s, e, kind in labels]
        found += sum(hit for kind, hit in hits if kind in kinds)
        wanted += sum(kind in kinds for kind, _ in hits)
        found_all += sum(hit for _, hit in hits)
        everything += len(hits)
    numbers = {"precision": right / max(1, claimed), "recall": found / wanted, "recall_all": found_all / everything}
    return {name: round(number, 4) for name, number in numbers.items()}


def speed(find: Find, pieces: list[str]) -> float:
    """Megabytes per second."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        for piece in pieces:
            list(find(piece))
        times.append(time.process_time() - start)
    return round(sum(len(p.encode()) for p in pieces) / 1e6 / median(times), 2)


SYSTEMS = {"libertas": libertas, "datatrove": datatrove, "scrubadub": scrubadub, "presidio": presidio}

if __name__ == "__main__":
    passages = importlib.import_module("labels").labelled("held-out")
    whole = Path(sys.argv[1]).read_text("utf-8")
    pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    for name in sys.argv[2:] or SYSTEMS:
        try:
            find, kinds = SYSTEMS[name]()
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        line = {"benchmark": "curate_privacy", "system": name, "kinds": kinds, **quality(find, kinds, passages)}
        part = pieces[:PRESIDIO_PIECES] if name == "presidio" else pieces
        print(json.dumps({**line, "megabytes_per_second": speed(find, part)}), flush=True)
