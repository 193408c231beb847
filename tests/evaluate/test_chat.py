"""Prompts in a model's chat template, and what an imported folder says of prompts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, processors

from libertas.errors import UsageError
from libertas.evaluate import answer as answering
from libertas.evaluate import asked as asking_items
from libertas.evaluate.answer import answer, first_prompt
from libertas.evaluate.asking import CHATS, MESSAGE, STARTS, TURNS, Asking
from libertas.evaluate.chat import Prompting, prompting_of, read_prompting, rendered
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.encode import encode_pairs
from libertas.evaluate.item import choice_item
from libertas.evaluate.reading import Reading, reading_named
from libertas.evaluate.result import evaluate
from libertas.evaluate.score import score
from libertas.evaluate.shots import NONE, Shots
from libertas.exchange.config import ExportConfig, ImportConfig
from libertas.exchange.folder import export_model, import_model
from libertas.lineage.fingerprint import digest
from libertas.model.sizes import SIZES
from libertas.tokenize.bpe import END_OF_TEXT, closing_token

CHATML = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""Of the kind that most chat models have."""
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""SmolLM2-135M-Instruct's own."""
DATED = (
    "{{ bos_token }}{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}\n"
    "{% for message in messages %}\n    {% if message.role == 'system' %}\n{{ raise_exception('no system') }}"
    "{% endif %}\n{% generation %}{{ message | tojson }}{% endgeneration %}{% if loop.index > 3 %}{% break %}"
    "{% endif %}\n{% endfor %}"
)
"""With what templates of others use: dates, exceptions, JSON, marks for training, loop controls, indented blocks."""
MESSAGES = [{"role": "user", "content": "Grüße & <b>?"}, {"role": "assistant", "content": "B"}]

ITEM = choice_item("1", (" one", " two"), 0, question="How many?", meta={"subject": "small_numbers"})
EXAMPLE = choice_item("2", (" three", " four"), 1, question="And now?", meta={"subject": "small_numbers"})
SAID = Prompting(end=0, begin=0, usual="bos", template=CHATML, tokens={"eos_token": "<end>"})


def prompt(reading, asking, shots=NONE, item=ITEM):
    one = reading_named(reading)
    return first_prompt([item], Reading("r", one.protocol, one.normalization, asking), [EXAMPLE], shots, SAID)


def test_the_cue_begins_the_assistants_turn_and_an_example_is_a_turn_of_each():
    assert prompt("letters", Asking(chat=TURNS), Shots(count=1)) == (
        "<|user|>\nQuestion: And now?\nA. three\nB. four<end>\n<|assistant|>\nAnswer: B<end>\n"
        "<|user|>\nQuestion: How many?\nA. one\nB. two<end>\n<|assistant|>\nAnswer:"
    )


def test_examples_may_stand_in_the_users_message_behind_a_message_of_the_system():
    assert prompt("text", Asking(chat=MESSAGE, system="Be brief."), Shots(count=1)) == (
        "<|system|>\nBe brief.<end>\n<|user|>\nQuestion: And now?\nAnswer: four\n\nQuestion: How many?<end>\n"
        "<|assistant|>\nAnswer:"
    )


def test_a_heading_joins_the_message_of_the_system():
    heading = "The following are multiple choice questions (with answers) about small numbers."
    assert prompt("harness", Asking(chat=TURNS, system="Be brief.")).startswith(
        f"<|system|>\nBe brief.\n\n{heading}<end>\n<|user|>\nHow many?\nA."
    )
    assert prompt("harness", Asking(chat=TURNS)).startswith(f"<|system|>\n{heading}<end>\n")


def test_a_choice_that_continues_a_passage_is_the_assistants_turn(monkeypatch, model, tokenizer):
    asked = []
    monkeypatch.setattr(
        asking_items, "encode_pairs", lambda t, pairs, *a, **k: asked.extend(pairs) or encode_pairs(t, pairs)
    )
    item = choice_item("1", (" of all", " of some"), 0, passage="The sum")
    reading = replace(reading_named("text"), asking=Asking(start="nothing", chat=TURNS))
    answer(model, tokenizer, [item], [reading], prompting=SAID, title="")
    assert asked[:2] == [
        ("<|user|>\nThe sum<end>\n<|assistant|>\n", "of all"),
        ("<|user|>\nThe sum<end>\n<|assistant|>\n", "of some"),
    ]


@pytest.mark.parametrize("template", [CHATML, SMOLLM2, DATED])
def test_a_template_is_rendered_as_transformers_renders_it(template, tokenizer):
    transformers = pytest.importorskip("transformers")
    tokens = {"bos_token": "<s>", "eos_token": "<end>"}
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    wanted = theirs.apply_chat_template(
        MESSAGES,
        chat_template=template.replace("strftime_now", "undefined"),
        tokenize=False,
        add_generation_prompt=True,
    )
    assert rendered(MESSAGES, Prompting(end=0, begin=0, template=template, tokens=tokens)) == wanted


def test_a_template_that_refuses_or_escapes_its_sandbox_is_one_line():
    with pytest.raises(UsageError, match="the model has no chat template; leave --chat out"):
        rendered(MESSAGES, replace(SAID, template=""))
    with pytest.raises(UsageError, match="refuses messages of system: no system; ask without"):
        rendered([{"role": "system", "content": ""}], replace(SAID, template=DATED))
    with pytest.raises(UsageError, match="refuses messages of user, assistant"):
        rendered(MESSAGES, replace(SAID, template="{{ messages.__class__.__base__.__subclasses__() }}"))
    with pytest.raises(UsageError, match="refuses messages of user, assistant"):
        rendered(MESSAGES, replace(SAID, template="{% for"))


def tokens_read(monkeypatch, model, tokenizer, asking, template):
    seen = []
    monkeypatch.setattr(
        answering, "score", lambda m, requests, title: seen.extend(requests) or score(m, requests, title)
    )
    said = Prompting(end=0, begin=0, usual="bos", template=template, tokens={"bos_token": END_OF_TEXT, "eos_token": ""})
    answer(model, tokenizer, [ITEM], [replace(reading_named("text"), asking=asking)], prompting=said, title="")
    return [list(request.tokens) for request in seen]


def test_special_tokens_of_a_template_are_tokens_and_the_first_is_never_doubled(monkeypatch, model, tokenizer):
    begin = tokenizer.token_to_id(END_OF_TEXT)
    for start in ("auto", "bos", "end-of-text"):
        for read in tokens_read(
            monkeypatch, model, tokenizer, Asking(start=start, chat=TURNS), "{{ bos_token }}" + CHATML
        ):
            assert read[0] == begin
            assert read.count(begin) == 1
    without = tokens_read(monkeypatch, model, tokenizer, Asking(start="auto", chat=TURNS), CHATML)
    assert begin not in without[0]
    assert tokens_read(monkeypatch, model, tokenizer, Asking(start="bos", chat=TURNS), CHATML)[0][0] == begin
    spelled = tokenizer.encode(END_OF_TEXT, add_special_tokens=False).ids
    assert len(spelled) > 1, "outside of chats, text that spells a special token is text, before and after"


@pytest.fixture
def published(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A folder as `save_pretrained` writes it, with the tokenizer of these tests."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPTNeoXConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, rotary_pct=0.25, bos_token_id=5, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.GPTNeoXForCausalLM(config).save_pretrained(tmp_path / "hf")
    tokenizer.save(str(tmp_path / "hf" / "tokenizer.json"))
    return tmp_path / "hf"


def imported(folder: Path, name: str, settings: dict[str, object] | None = None) -> Prompting:
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    path = import_model(ImportConfig(folder=folder, out=folder.parent / name))
    return read_prompting(path, Tokenizer.from_file(str(path / "tokenizer.json")))


@pytest.mark.filterwarnings("ignore")
def test_an_imported_folder_says_what_stands_before_texts_and_keeps_its_template(published):
    silent = imported(published, "silent")
    assert (silent.usual, silent.begin, silent.end, silent.template) == ("nothing", 5, 0, "")
    token = Tokenizer.from_file(str(published / "tokenizer.json")).id_to_token(9)
    said = imported(
        published, "said", {"bos_token": {"content": token}, "add_bos_token": True, "chat_template": CHATML}
    )
    assert (said.usual, said.begin, said.template) == ("bos", 9, CHATML)
    assert said.tokens == {"bos_token": token}
    assert imported(published, "ends", {"eos_token": token}).end == 9
    several = [{"name": "tools", "template": "no"}, {"name": "default", "template": CHATML}]
    assert imported(published, "several", {"chat_template": several}).template == CHATML
    (published / "chat_template.jinja").write_text(SMOLLM2)
    assert imported(published, "file", {"chat_template": several}).template == SMOLLM2


@pytest.mark.filterwarnings("ignore")
def test_a_tokenizer_that_adds_a_token_itself_says_so_unless_its_settings_deny_it(published):
    tokenizer = Tokenizer.from_file(str(published / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    tokenizer.save(str(published / "tokenizer.json"))
    assert imported(published, "adds").usual == "bos"
    assert imported(published, "adds").begin == 0
    assert imported(published, "denies", {"add_bos_token": False}).usual == "nothing"


@pytest.mark.filterwarnings("ignore")
def test_an_export_of_an_import_has_the_template_and_the_settings_again(published):
    imported(published, "said", {"eos_token": END_OF_TEXT, "add_bos_token": False, "chat_template": CHATML})
    out = export_model(ExportConfig(checkpoint=published.parent / "said", out=published.parent / "again"))
    settings = json.loads((out / "tokenizer_config.json").read_bytes())
    assert (settings["chat_template"], settings["add_bos_token"]) == (CHATML, False)


@pytest.mark.filterwarnings("ignore")
def test_a_result_says_how_it_was_asked_and_counts_the_items_that_could_not_be(published, capsys):
    imported(published, "run", {"eos_token": END_OF_TEXT, "chat_template": CHATML})
    rows = [{"id": str(n), "passage": "The sum", "choices": [" of", " a" * n], "gold": 0} for n in (0, 2, 3, 99)]
    (published / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings = {"run": published.parent / "run", "tasks": (f"items={published / 'rows.jsonl'}",), "threads": 1}
    result = evaluate(
        EvaluateConfig(**settings, readings=("text",), chat=TURNS, order_seed=1, out=published.parent / "result")
    )
    scores = result.scores["libertas"]
    task = scores["tasks"]["items"]
    assert task["items"] + len(task["refused"]) == len(rows)
    assert len(result.records()) == len(result.items()) == task["items"] == 2
    assert [line.split(":")[0] for line in task["refused"]] == ["rows.jsonl", "item 99"]
    assert "items: item 99: 'a a a" in capsys.readouterr().err.replace("\n", " ")
    assert task["first_prompts"] == {"text": f"<|user|>\nThe sum{END_OF_TEXT}\n<|assistant|>\n"}
    assert scores["policies"]["chat"] == CHATS[TURNS]
    assert scores["policies"]["start"] == STARTS["nothing"]
    assert scores["policies"]["order"] == "shuffled, seed 1"
    assert scores["policies"]["template"] == digest(CHATML.encode())
    (row,) = task["protocols"]
    asking = Asking(start="nothing", chat=TURNS)
    assert row["fingerprint"] == replace(reading_named("text"), asking=asking).fingerprint


def test_a_model_trained_here_begins_every_text_with_end_of_text(tmp_path, tokenizer):
    assert read_prompting(tmp_path, tokenizer) == prompting_of(tokenizer)
    assert prompting_of(tokenizer).begin == closing_token(tokenizer)
    assert prompting_of(tokenizer).usual == "end-of-text"
    assert SIZES["tiny"].context == 64, "what the tests of this folder count on"
