"""Numbers that must not get worse. `floors.json` pins them; lowering one needs a reason in the commit message."""

from pathlib import Path

import orjson
import pytest

from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted
from libertas.gather.pack import pack
from libertas.gather.warc import Record, records
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
