"""Every item of the shared evaluation sets, planted in clean documents, is found; clean documents are not."""

import random
import re
import sysconfig
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from libertas.curate.contamination.cut import cuts_of
from libertas.curate.contamination.items import EvaluationItem, evaluation_files, read_items
from libertas.curate.contamination.match import Found, find_items
from libertas.curate.contamination.probe import Probe, make_probe
from libertas.curate.contamination.words import words_of

pytestmark = pytest.mark.slow

STEP = {"blimp": 20, "mmlu_test": 4, "gsm8k_train": 4, "lambada_test": 4}
"""Of the largest sets, one item in so many is planted; all are looked for."""
EXCEPTIONS = {"blimp": 0.1, "implicatures_dev": 0.1, "implicatures_test": 0.1}
"""Share of the items that are too short, or of too frequent words, to be told from chance; 1 % in other sets."""


@pytest.fixture(scope="module")
def clean(shared_data: Path) -> list[str]:
    """Paragraphs of Wikipedia and of the Declaration of Human Rights in many languages, Shakespeare, sources."""
    wiki = (shared_data / "text" / "wikitext-2.valid.txt").read_text()
    plays = (shared_data / "text" / "tinyshakespeare.txt").read_text().split("\n\n")
    found = [p for p in wiki.split("\n") if len(p) > 300]
    found += ["\n\n".join(plays[i : i + 5]) for i in range(0, len(plays), 5)]
    found += (shared_data / "lid" / "udhr-dev.jsonl").read_text().split("\n")
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*/*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [text[i : i + 4000] for i in range(0, len(text), 4000)]
    random.Random(1).shuffle(found)
    return found


@pytest.fixture(scope="module")
def items(shared_data: Path) -> list[EvaluationItem]:
    return [i for task, path in evaluation_files([shared_data / "eval"]) for i in read_items(task, path, {})]


@pytest.fixture(scope="module")
def probe(items: list[EvaluationItem], clean: list[str], tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_probe(tmp_path_factory.mktemp("probe"), [items], [clean])


def chosen(items: list[EvaluationItem], more: int = 1) -> list[int]:
    place: Counter[str] = Counter()
    numbers = []
    for number, item in enumerate(items):
        if place[item.task] % (STEP.get(item.task, 1) * more) == 0:
            numbers.append(number)
        place[item.task] += 1
    return numbers


def written(item: EvaluationItem) -> str:
    choices = [f"{letter}. {choice}" for letter, choice in zip("ABCDEFGHIJ", item.choices, strict=False)]
    return "\n".join([item.question, *choices, *(f"Answer: {a}" for a in item.answers[:1])])


def planted(
    items: list[EvaluationItem], numbers: list[int], clean: list[str], change: Callable[[str], str]
) -> tuple[list[str], list[tuple[int, int]]]:
    """Documents with an item each, and where it stands in them."""
    rng = random.Random(2)
    texts, places = [], []
    for number in numbers:
        host, item = rng.choice(clean), change(written(items[number]))
        at = host.rfind(" ", 0, rng.randrange(len(host) + 1)) + 1
        texts.append(f"{host[:at]}\n\n{item}\n\n{host[at:]}")
        places.append((at + 2, at + 2 + len(item)))
    return texts, places


def found_in(texts: list[str], probe: Probe) -> list[list[Found]]:
    found: list[list[Found]] = [[] for _ in texts]
    for first in range(0, len(texts), 1000):
        for one in find_items(texts[first : first + 1000], probe):
            found[first + one.document].append(one)
    return found


def test_ten_thousand_clean_documents_stay_whole(clean: list[str], probe: Probe) -> None:
    assert len(clean) > 10_000
    assert [one for found in found_in(clean, probe) for one in found] == []


def test_every_item_that_can_be_told_is_found_and_cut_exactly(
    items: list[EvaluationItem], clean: list[str], probe: Probe
) -> None:
    numbers, told = chosen(items), probe.told()
    texts, places = planted(items, numbers, clean, str)
    exceptions: Counter[str] = Counter()
    for number, text, (start, end), found in zip(numbers, texts, places, found_in(texts, probe), strict=True):
        own = [one for one in found if one.item == number]
        if not own:
            assert not told[number], items[number]
            exceptions[items[number].task] += 1
            continue
        assert {one.kind for one in own} <= {"question", "with_answer"}
        [cut] = cuts_of(len(text), words_of([text]), [(one.start, one.end) for one in own], 0)
        assert start <= cut[0], items[number]
        words = words_of([items[number].question])
        assert cut[0] <= start + int(words.starts[0]), items[number]
        assert cut[1] >= start + int(words.ends[-1]), items[number]
        assert not re.search(r"\w.*\w.*\w.*\w", text[end : cut[1]], re.DOTALL), items[number]
    many = Counter(items[n].task for n in numbers)
    assert all(n <= max(EXCEPTIONS.get(task, 0.01) * many[task], 1) for task, n in exceptions.items()), exceptions


@pytest.mark.parametrize(
    ("change", "recall"),
    [
        (str.upper, 0.999),
        (lambda s: s.replace("'", "’").replace('"', "”").replace("-", "–"), 0.999),
        (lambda s: re.sub(r"\s+", " \n\u00a0", s), 0.999),
        (lambda s: re.sub(r"[.,;:!?()\"]", "", s), 0.9),
    ],
    ids=["capitals", "quotes and dashes", "white space", "no punctuation"],
)
def test_other_spellings_are_found_nearly_always(
    items: list[EvaluationItem], clean: list[str], probe: Probe, change: Callable[[str], str], recall: float
) -> None:
    told = probe.told()
    numbers = [n for n in chosen(items, 5) if told[n] and "other" not in items[n].id and items[n].task != "HumanEval"]
    texts, _ = planted(items, numbers, clean, change)
    hit = [any(f.item == n for f in found) for n, found in zip(numbers, found_in(texts, probe), strict=True)]
    assert sum(hit) / len(hit) >= recall
