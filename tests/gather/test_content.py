"""The network that finds main content: the same as was trained, and the same whatever was read before."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from libertas.errors import UsageError
from libertas.gather import content
from libertas.gather.blocks import Blocks
from libertas.gather.features import BUCKET_BITS, BUCKET_FACTOR, Lexicon, word_keys
from libertas.gather.page import parsed

WORDS = ["home", "menu", "the", "of", "reply", "Größe", "价格", "2024", "said", "read more", "!", "a, b."]
TAGS = ["p", "div", "li", "h2", "td", "section", "a", "article", "blockquote"]
PAGES = st.lists(
    st.tuples(st.sampled_from(TAGS), st.sampled_from(["", "comment", "entry-content", "nav"]),
        st.lists(st.sampled_from(WORDS), max_size=30)),
    min_size=1, max_size=40,
)  # fmt: skip
ODD_TEXTS = ["\x00", "\u0301" * 50, "\ud800", "🦊" * 30, "a" * 5000, "。。。", "<>&\"'", "\u2028", "0", "\u200b", "."]


@cache
def training() -> ModuleType:
    """The script that trains the network."""
    path = Path(__file__).parents[2] / "scripts" / "train_extractor.py"
    spec = importlib.util.spec_from_file_location("train_extractor", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def net() -> torch.nn.Module:
    """The network as it was trained, with the weights that are shipped."""
    w = {name: torch.from_numpy(value) for name, value in content.network().w.items()}
    made = training().Net(len(w["mean"]))
    made.load_state_dict(
        {
            "enter.weight": w["in_w"].T,
            "enter.bias": w["in_b"],
            "near.weight": w["near_w"].permute(2, 1, 0),
            "near.bias": w["near_b"],
            "far.weight": w["far_w"].permute(2, 1, 0),
            "far.bias": w["far_b"],
            "page.weight": w["page_w"].T,
            "page.bias": w["page_b"],
            "leave.weight": w["out_w"].T,
            "leave.bias": w["out_b"],
        }
    )
    trained: torch.nn.Module = made.eval()
    return trained


def blocks(source: str) -> Blocks:
    return parsed(HTMLTree.parse(source), everything=True).blocks


def html(page: list[tuple[str, str, list[str]]]) -> str:
    return "<body>" + "".join(f'<{tag} class="{name}">{" ".join(words)}</{tag}>' for tag, name, words in page)


@settings(max_examples=40)
@given(PAGES, st.sampled_from(["", "the reply of home"]))
def test_the_matrix_products_are_the_network_that_was_trained(
    page: list[tuple[str, str, list[str]]], title: str
) -> None:
    network, found = content.network(), blocks(html(page))
    if not found.text:
        return
    x = (network.features.of(found, title) - network.w["mean"]) * network.w["scale"]
    row = torch.from_numpy(np.clip(x, -content.CLIP, content.CLIP)).float()[None]
    with torch.no_grad():
        expected = torch.sigmoid(net()(row, torch.ones(1, len(found.text))))[0].numpy()
    np.testing.assert_allclose(network.probabilities(found, title), expected, atol=1e-4)


def test_a_page_without_blocks_has_no_probabilities() -> None:
    assert content.network().probabilities(blocks("<body>"), "").shape == (0,)


def test_what_was_read_before_changes_no_probability() -> None:
    long = blocks(html([("p", "entry", ["the", "said", "of"] * 9)] * 30))
    short = blocks(html([("li", "nav", ["home"])] * 3))
    alone = content.network().probabilities(long, "the")
    for other in (short, long, blocks("<body>")):
        content.network().probabilities(other, "home")
        assert np.array_equal(content.network().probabilities(long, "the"), alone)


@pytest.mark.parametrize("change", ["a byte", "all"])
def test_weights_that_are_not_the_shipped_ones_are_refused_in_one_line(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "extractor.npz"
    if change == "a byte":
        data = bytearray(content.WEIGHTS.read_bytes())
        data[len(data) // 2] ^= 1
        other.write_bytes(data)
    monkeypatch.setattr(content, "WEIGHTS", other)
    with pytest.raises(
        UsageError, match=r"extractor\.npz has digest b3:.*, expected b3:.*; install libertas again"
    ) as e:
        content.network.__wrapped__()
    assert "\n" not in str(e.value)


@settings(max_examples=40)
@given(st.lists(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20)), min_size=1, max_size=12), st.text())
def test_features_are_numbers_whatever_the_text(texts: list[str], title: str) -> None:
    escaped = [t.replace("&", "&amp;").replace("<", "&lt;") for t in texts]
    source = "<body>" + "".join(f"<p>{t}</p><ul><li>{t}<li><a href='x'>{t}</a></ul>" for t in escaped)
    found = blocks(source.encode("utf-8", "replace").decode())
    if found.text:
        assert np.isfinite(content.network().features.of(found, title)).all()
        probable = content.network().probabilities(found, title)
        assert ((probable >= 0) & (probable <= 1)).all()


def colliding(count: int) -> list[int]:
    """Keys that fall into one bucket: multiples of the factor's inverse differ only in bits that are shifted out."""
    inverse = pow(int(BUCKET_FACTOR), -1, 1 << 64)
    return [(inverse * (i + 1)) % (1 << 64) for i in range(count)]


@given(
    st.dictionaries(
        st.integers(1, 2**64 - 1), st.integers(-3000, 3000).map(lambda n: n / 1000), min_size=1, max_size=30
    ),
    st.integers(0, 9),
)
def test_a_lexicon_says_what_it_was_given_and_of_two_in_one_place_the_stronger(odds: dict[int, float], n: int) -> None:
    odds = odds | {key: (i - n / 2) / 4 for i, key in enumerate(colliding(n))}
    keys = np.array(list(odds), np.uint64)
    lexicon = Lexicon(keys, np.array(list(odds.values()), np.float32))
    place: dict[int, list[int]] = {}
    for key in odds:
        place.setdefault((key * int(BUCKET_FACTOR)) % (1 << 64) >> (64 - BUCKET_BITS), []).append(key)
    assert n < 2 or max(len(inside) for inside in place.values()) >= n
    for inside in place.values():
        said = {key: float(lexicon.said(np.array([key], np.uint64))[0]) for key in inside}
        strongest = max(abs(odds[key]) for key in inside)
        assert [key for key in inside if said[key] not in (0, np.float32(odds[key]))] == []
        assert max(abs(value) for value in said.values()) == pytest.approx(strongest)
    assert lexicon.said(np.array([k for k in range(3) if k not in odds], np.uint64)).sum() == 0


def test_words_are_known_by_their_beginning_in_lower_case_and_summed_up_for_each_text() -> None:
    home, long, cut = (int(word_keys(word)[0][0]) for word in ("home", "comments", "commentsection"))
    assert long == cut
    lexicon = Lexicon(np.array([home, long], np.uint64), np.array([1.0, -2.0], np.float32))
    assert lexicon.sums(["Home home", "", "the commentsection", "homes"]).tolist() == [2, 0, -2, 0]
