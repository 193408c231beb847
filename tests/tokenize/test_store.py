"""The token store: every token knows its document, and every text comes back."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import document, mixed_corpus, small_corpus

from libertas.corpus import Corpus
from libertas.errors import BrokenLineage, UsageError
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import TokenStore, tokenize


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("store")
    return tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))


def test_every_token_leads_to_the_document_that_holds_it(store: TokenStore) -> None:
    tokenizer, end = store.tokenizer(), 0
    for number, item in enumerate(Corpus.open(store.path.parent / "mix", "train")):
        tokens = store.document_tokens(number)
        assert store.document_id(number) == item.id
        assert tokenizer.decode(tokens[:-1].tolist()) == item.text
        assert tokens[-1] == tokenizer.token_to_id(bpe.END_OF_TEXT)
        assert {store.document_at(p) for p in range(end, end + len(tokens))} == {number}
        end += len(tokens)
    assert end == len(store)


def test_a_position_outside_the_store_is_an_error(store: TokenStore) -> None:
    for position in (-1, len(store)):
        with pytest.raises(IndexError, match=f"token {position} is outside"):
            store.document_at(position)


def test_components_are_kept_for_every_document(store: TokenStore) -> None:
    names = [store.component_names[c] for c in store.components]
    assert names == [d.meta["component"] for d in store.corpus()]


@given(st.text(max_size=200))
def test_any_text_survives_encoding_and_its_bytes_add_up(content: str) -> None:
    tokenizer = bpe.learn(["ab ab ab abc abc"] * 3, 259)
    ids = tokenizer.encode(content).ids
    assert tokenizer.decode(ids) == content
    assert int(bpe.token_bytes(tokenizer)[ids].sum()) == len(content.encode())


def test_a_vocabulary_larger_than_the_data_allows_is_refused_with_the_size_that_works(tmp_path: Path) -> None:
    corpus = mixed_corpus(tmp_path / "mix", [document(1, content="aa aa bb")], [document(2)])
    with pytest.raises(UsageError, match=r"vocabulary is 4096 but the training text supports only \d+ entries; set"):
        tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=4096))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mix"]


def test_a_vocabulary_that_cannot_spell_every_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vocabulary is 100; expected at least 257"):
        TokenizeConfig(corpus=tmp_path, out=tmp_path / "t", vocabulary=100)


def test_the_same_corpus_gives_the_same_bytes(store: TokenStore, tmp_path: Path) -> None:
    again = tokenize(TokenizeConfig(corpus=store.path.parent / "mix", out=tmp_path / "again", vocabulary=300))
    assert again.manifest.files == store.manifest.files


def test_a_page_that_spells_end_of_text_out_does_not_end_a_document(tmp_path: Path) -> None:
    forged = document(1, content=f"before{bpe.END_OF_TEXT}after " * 30)
    corpus = mixed_corpus(tmp_path / "mix", [forged, *(document(n) for n in range(2, 40))], [document(50)])
    store = tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300))
    assert int((np.asarray(store.tokens) == 0).sum()) == 39
    assert store.tokenizer().decode(store.document_tokens(0)[:-1].tolist()) == forged.text
    assert int(bpe.token_bytes(store.tokenizer())[store.document_tokens(0)].sum()) == len(forged.text)


def test_a_tokenizer_that_cuts_or_pads_is_brought_along_without_that(store: TokenStore, tmp_path: Path) -> None:
    cutting = store.tokenizer()
    cutting.enable_truncation(5)
    cutting.enable_padding(length=9)
    cutting.save(str(tmp_path / "tokenizer.json"))
    loaded = bpe.load_tokenizer(tmp_path / "tokenizer.json")
    text = "a text that is longer than five tokens by far"
    assert loaded.decode(loaded.encode(text).ids) == text
    assert loaded.encode("a").ids == store.tokenizer().encode("a").ids


def test_cut_tokens_are_refused(store: TokenStore, tmp_path: Path) -> None:
    shutil.copytree(store.path, tmp_path / "tokens")
    tokens = tmp_path / "tokens" / "train" / "tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:1000])
    with pytest.raises(BrokenLineage, match=r"tokens\.bin has 500 tokens, expected [\d,]+; run `libertas verify"):
        TokenStore.open(tmp_path / "tokens")


def test_a_tokenizer_can_be_brought_along(store: TokenStore, tmp_path: Path) -> None:
    brought = tokenize(
        TokenizeConfig(
            corpus=store.path.parent / "mix", out=tmp_path / "brought", tokenizer=store.path / "tokenizer.json"
        )
    )
    np.testing.assert_array_equal(brought.tokens, store.tokens)


def test_what_is_not_a_tokenizer_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "tokenizer.json"
    wrong.write_text("{}")
    with pytest.raises(UsageError, match=r"tokenizer\.json is not a tokenizer\.json"):
        bpe.load_tokenizer(wrong)
