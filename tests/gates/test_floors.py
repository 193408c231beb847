"""Numbers that must not get worse. `floors.json` pins them; lowering one needs a reason in the commit message."""

import random
from pathlib import Path

import orjson
import pytest
from making import MadeConfig

from libertas.corpus import Corpus, CorpusWriter
from libertas.curate.duplicates.find import find_duplicates
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.curate.sidecar import read_sidecar
from libertas.document import Document
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted
from libertas.gather.pack import pack
from libertas.gather.warc import Record, records
from libertas.lineage.artifact import Draft
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.loop import train

pytestmark = pytest.mark.slow

FLOORS = orjson.loads((Path(__file__).parent / "floors.json").read_bytes())


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_extraction_finds_the_text_of_real_pages_and_leaves_the_rest(shared_data: Path) -> None:
    """F1 over text segments that must and must not be in the output, as trafilatura's evaluation counts them."""
    lines = (shared_data / "web" / "extraction-dev.gold.jsonl").read_bytes().splitlines()
    gold = {row["url"].strip(): row for row in map(orjson.loads, lines)}
    assert len(gold) == FLOORS["extraction_pages"]
    texts = {}
    for record in records(shared_data / "web" / "extraction-dev.warc.gz"):
        if isinstance(record, Record) and record.uri.strip() in gold:
            found = extract(record.body, record.content_type, record.charset)
            texts[record.uri.strip()] = squeezed(found.text) if isinstance(found, Extracted) else ""
    wanted = [squeezed(s) in texts.get(u, "") for u, row in gold.items() for s in row["with"]]
    unwanted = [squeezed(s) in texts.get(u, "") for u, row in gold.items() for s in row["without"]]
    precision = sum(wanted) / (sum(wanted) + sum(unwanted))
    recall = sum(wanted) / len(wanted)
    f1 = 2 * precision * recall / (precision + recall)
    print(f"precision {precision:.4f} recall {recall:.4f} F1 {f1:.4f}")
    assert f1 >= FLOORS["extraction_f1"]


def edited(words: list[str], share: float, chance: random.Random) -> list[str]:
    """Words of which a share, each alone, is another one: every edit changes five 5-grams."""
    places = set(chance.sample(range(len(words)), round(share * len(words))))
    return [f"changed{chance.getrandbits(40)}" if place in places else word for place, word in enumerate(words)]


def jaccard_of_grams(left: list[str], right: list[str]) -> float:
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (left, right)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_planted_near_duplicates_are_found_and_decoys_are_not(tmp_path: Path) -> None:
    """5,000 documents; copies with a Jaccard similarity of word 5-grams above and below 0.8 are among them."""
    chance = random.Random(5)
    originals = [[f"word{int(chance.paretovariate(0.7))}" for _ in range(300)] for _ in range(3000)]
    copies = [edited(words, chance.uniform(0.0, 0.06), chance) for words in originals[:2000]]
    config = MadeConfig(out=tmp_path / "corpus")
    draft = Draft(kind="corpus", out=config.out, config=config, inputs={}, code="libertas.corpus")
    with draft.build() as folder, CorpusWriter(folder, "planted") as writer:
        for number, words in enumerate(originals + copies):
            writer.add(Document(f"{number:032x}", " ".join(words), {}))
    find_duplicates([Corpus.open(config.out)], tmp_path / "found")
    cluster = {row["number"]: row["cluster"] for row in read_sidecar(tmp_path / "found", "clusters", 0, 0).to_pylist()}
    alike = [jaccard_of_grams(originals[n], copies[n]) for n in range(len(copies))]
    found = [n in cluster and cluster[n] == cluster.get(3000 + n) for n in range(len(copies))]
    recall = sum(f for f, a in zip(found, alike, strict=True) if a >= 0.8) / sum(a >= 0.8 for a in alike)
    precision = sum(a >= 0.8 for f, a in zip(found, alike, strict=True) if f) / sum(found)
    print(f"recall {recall:.4f} precision {precision:.4f}, {sum(0.7 < a < 0.8 for a in alike)} decoys")
    assert recall >= FLOORS["dedup_recall"]
    assert precision >= FLOORS["dedup_precision"]


def test_a_tiny_model_learns_the_language_reference(tmp_path: Path) -> None:
    pack(PackConfig(paths=("python:reference",), out=tmp_path / "archive"))
    gather(GatherConfig(archives=(tmp_path / "archive",), component="reference", out=tmp_path / "corpus"))
    mix(MixConfig(corpora=(tmp_path / "corpus",), validation=0.1, out=tmp_path / "mix"))
    tokenize(TokenizeConfig(corpus=tmp_path / "mix", vocabulary=512, out=tmp_path / "tokens"))
    settings = {"model": "tiny", "steps": 300, "batch": 16, "micro_batch": 16, "validate_every": 300}
    train(TrainConfig(tokens=tmp_path / "tokens", out=tmp_path / "run", **settings))
    measured = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["validation_bits_per_byte"]
    print(f"{measured:.4f} bits per byte")
    assert measured <= FLOORS["reference_bits_per_byte"]
