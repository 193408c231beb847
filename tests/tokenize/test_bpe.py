"""Vocabularies: what is learned, what is read from the files of others, and how many bytes each token writes."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import text
from test_encoder import LEARNED, SOUP, STYLES, changed, made
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from libertas.errors import UsageError
from libertas.tokenize import bpe
from libertas.tokenize.special import END_OF_TEXT, FILL_IN_THE_MIDDLE, PADDING, special_tokens
from libertas.tokenize.splitting import RUNS_OF_SPACES


@pytest.mark.parametrize("style", STYLES)
@given(content=SOUP)
def test_bytes_of_tokens_add_up_to_the_text_as_it_is_read(
    tokenizers_of_ours: dict[str, Tokenizer], style: str, content: str
) -> None:
    tokenizer = tokenizers_of_ours[style]
    ids = tokenizer.encode(content).ids
    read = tokenizer.normalizer.normalize_str(content) if tokenizer.normalizer else content
    assert int(bpe.token_bytes(tokenizer)[ids].sum()) == len(read.encode())
    assert tokenizer.decode(ids, skip_special_tokens=False) == read


@pytest.fixture(scope="module")
def tokenizers_of_ours() -> dict[str, Tokenizer]:
    return {style: made(style) for style in STYLES}


def test_special_tokens_come_first_and_runs_of_spaces_last(tokenizers_of_ours: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers_of_ours["neox"]
    names = (END_OF_TEXT, PADDING, *FILL_IN_THE_MIDDLE, "<extra_id_0>", "<extra_id_1>", "<extra_id_2>")
    assert [tokenizer.id_to_token(n) for n in range(9)] == list(names) == list(special_tokens(True, True, 3))
    assert [tokenizer.id_to_token(n) for n in range(477, 500)] == list(RUNS_OF_SPACES)
    assert (RUNS_OF_SPACES[0], RUNS_OF_SPACES[-1], len(RUNS_OF_SPACES)) == (" " * 24, " " * 2, 23)
    assert bpe.vocabulary_size(tokenizer) == 500
    assert bpe.token_bytes(tokenizer)[[*range(9), 477, 499]].tolist() == [0] * 9 + [24, 2]


def test_no_token_is_spent_on_runs_of_spaces_that_have_their_own(tokenizers_of_ours: dict[str, Tokenizer]) -> None:
    record = orjson.loads(tokenizers_of_ours["neox"].to_str())
    assert not [name for name in record["model"]["vocab"] if "ĠĠ" in name]


@pytest.mark.parametrize("style", STYLES)
def test_numbers_are_split_as_the_style_says(tokenizers_of_ours: dict[str, Tokenizer], style: str) -> None:
    pieces = [p for p, _ in tokenizers_of_ours[style].pre_tokenizer.pre_tokenize_str("a 12345")]
    wanted = {"gpt2": ["a", "Ġ12345"], "neox": ["a", "Ġ12345"], "llama3": ["a", "Ġ", "123", "45"]}
    assert pieces == wanted.get(style, ["a", "Ġ", "1", "2", "3", "4", "5"])


def test_texts_are_read_one_at_a_time_and_once() -> None:
    read = []

    def texts() -> Any:
        for n in range(40):
            read.append(n)
            yield text(n)

    bpe.learn(texts(), 300)
    assert read == list(range(40))


def saved(tokenizer: Tokenizer, folder: Path, settings: object = None) -> Path:
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


def renamed(name: str) -> Tokenizer:
    """A tokenizer whose end-of-text token has another name."""

    def rename(record: dict[str, Any]) -> None:
        record["added_tokens"][0]["content"] = name
        record["model"]["vocab"][name] = record["model"]["vocab"].pop(END_OF_TEXT)

    return changed(made("llama3"), rename)


@pytest.mark.parametrize("name", ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"])
def test_published_names_for_the_end_of_a_text_are_known(tmp_path: Path, name: str) -> None:
    tokenizer = bpe.load_tokenizer(saved(renamed(name), tmp_path))
    assert tokenizer.id_to_token(bpe.closing_token(tokenizer)) == name


@pytest.mark.parametrize("said", ["<done>", {"content": "<done>", "lstrip": False}])
def test_the_settings_beside_a_tokenizer_say_which_token_ends_a_text(tmp_path: Path, said: object) -> None:
    tokenizer = bpe.load_tokenizer(saved(renamed("<done>"), tmp_path, {"eos_token": said}))
    assert bpe.closing_token(tokenizer) == 0
    (tmp_path / "tokenizer_config.json").write_bytes(bpe.settings_of(tokenizer))
    assert bpe.closing_token(bpe.load_tokenizer(tmp_path / "tokenizer.json")) == 0


def test_a_setting_says_which_token_ends_a_text(tmp_path: Path) -> None:
    path = saved(renamed("<done>"), tmp_path, {"eos_token": "<other>"})
    assert bpe.closing_token(bpe.load_tokenizer(path, "<done>")) == 0
    with pytest.raises(UsageError, match=r"tokenizer\.json has no <other> token; .* end_of_text, or as eos_token"):
        bpe.load_tokenizer(path)


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tokenizer\.json has no end-of-text token; libertas needs one to close"):
        bpe.load_tokenizer(saved(renamed("<done>"), tmp_path))
    with pytest.raises(UsageError, match="the tokenizer has no end-of-text token; expected one of"):
        bpe.closing_token(renamed("<done>"))


def test_settings_that_are_no_json_are_refused(tmp_path: Path) -> None:
    path = saved(made("gpt2"), tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"tokenizer_config\.json is not JSON"):
        bpe.load_tokenizer(path)


def test_a_tokenizer_of_the_kind_of_llama_2_is_refused_in_one_line(tmp_path: Path) -> None:
    vocabulary = {"</s>": 0, "▁": 1, "a": 2, **{f"<0x{byte:02X}>": 3 + byte for byte in range(256)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    with pytest.raises(UsageError, match=r"has no ByteLevel decoder; .* expected a byte-level tokenizer") as refused:
        bpe.load_tokenizer(saved(tokenizer, tmp_path))
    assert "\n" not in str(refused.value)


def test_ids_that_no_token_has_are_counted_and_write_nothing() -> None:
    def leave_a_hole(record: dict[str, Any]) -> None:
        record["added_tokens"].append({**record["added_tokens"][0], "content": "<far>", "id": 510})

    tokenizer = changed(made("gpt2"), leave_a_hole)
    added = tokenizer.token_to_id("<far>")
    sizes = bpe.token_bytes(tokenizer)
    assert len(sizes) == bpe.vocabulary_size(tokenizer) == added + 1
    assert sizes[added] == 0


def test_an_added_token_of_many_bytes_writes_as_many(tmp_path: Path) -> None:
    tokenizer = made("gpt2")
    tokenizer.add_tokens([AddedToken("naïve", special=False)])
    loaded = bpe.load_tokenizer(saved(tokenizer, tmp_path))
    ids = loaded.encode("a naïve list").ids
    assert 500 in ids
    assert int(bpe.token_bytes(loaded)[ids].sum()) == len("a naïve list".encode())


@pytest.mark.slow
def test_transformers_opens_the_folder_and_encodes_the_same(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = made("neox")
    saved(tokenizer, tmp_path)
    (tmp_path / "tokenizer_config.json").write_bytes(bpe.settings_of(tokenizer))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.eos_token, theirs.eos_token_id) == (END_OF_TEXT, 0)
    for content in LEARNED:
        ids = tokenizer.encode(content, add_special_tokens=False).ids
        assert theirs(content, add_special_tokens=False)["input_ids"] == ids


def test_the_default_splits_as_gpt2_does() -> None:
    assert isinstance(made("gpt2").pre_tokenizer, pre_tokenizers.ByteLevel)
    assert made("gpt2").normalizer is None


@given(st.sampled_from(list(STYLES)))
def test_learning_twice_gives_the_same_vocabulary(style: str) -> None:
    assert made(style).to_str() == made(style).to_str()
