"""The sections of a report that tell of the making: summary, training, composition, what was left out."""

import shlex
from statistics import median

from libertas.lineage.manifest import Manifest
from libertas.lineage.walk import short
from libertas.page.markup import (
    Markup,
    compact,
    duration,
    element,
    facts_list,
    moment,
    percent,
    plural,
    size_of,
    table,
)
from libertas.serve.life import Component, Life, Passage

SHOWN_REASONS = 8
"""Reasons of a stage that are drawn; rarer ones unfold."""
LABEL_SHARE = 0.012
"""Share of a full-width bar that one letter of a label needs."""


def section(name: str, heading: str, *content: Markup | str | None) -> Markup:
    """A section of the page with a heading that says what one sees."""
    return element("section", {"id": name}, element("h2", {}, heading), content)


def note(*content: Markup | str) -> Markup:
    """A paragraph that explains what is beside it."""
    return element("p", {"class": "note"}, content)


def figure(name: str, description: str) -> Markup:
    """The place of a chart, which the page's script draws."""
    return element("div", {"class": "chart", "data-chart": name, "role": "img", "aria-label": description})


def summary(life: Life) -> str:
    """One sentence made from facts."""
    counts = life.manifest.counts
    documents = sum(c.documents for c in life.components)
    said = (
        f"{compact(counts['parameters'])} parameters, {plural(counts['steps'], 'step')}, "
        f"{compact(counts['tokens_read'])} tokens read from {plural(documents, 'document')} "
        f"of {plural(len(life.components), 'component')}"
    )
    bits = life.held_out_bits
    return said + (f"; {bits:.2f} bits per byte on held-out text." if bits is not None else ".")


def header(life: Life) -> Markup:
    """Name, summary, large numbers, and the facts of the run."""
    manifest, counts = life.manifest, life.manifest.counts
    bits = life.held_out_bits
    large = [
        (compact(counts["parameters"]), "parameters"),
        (f"{counts['steps']:,}", "steps"),
        (compact(counts["tokens_read"]), "tokens read"),
        (f"{sum(c.documents for c in life.components):,}", "documents"),
        ("–" if bits is None else f"{bits:.2f}", "bits per byte, held out"),
    ]
    numbers = [element("div", {}, element("strong", {}, n), element("span", {}, what)) for n, what in large]
    host = manifest.host
    return element(
        "header",
        {},
        element("p", {"class": "kicker"}, "libertas · the life of a model"),
        element("h1", {}, f"{manifest.config['model']}, {plural(counts['steps'], 'step')}"),
        element("p", {"class": "lede"}, summary(life)),
        element("div", {"class": "numbers"}, numbers),
        facts_list(
            [
                ("fingerprint", element("code", {}, manifest.fingerprint)),
                ("weights", element("code", {}, counts["weights"])),
                ("finished", f"{moment(manifest.finished)}, after {duration(manifest.seconds)}"),
                ("host", f"{host['system']}, Python {host['python']}, {plural(host['cores'], 'core')}"),
                ("command", element("code", {}, shlex.join(manifest.command))),
            ]
        ),
    )


def training(life: Life) -> Markup:
    """The loss curve and the speed."""
    rows, steps = life.metrics, life.manifest.counts["steps"]
    if not rows:
        return section("training", f"In {plural(steps, 'step')} the loss was never a number")
    first, last = rows[0]["loss"], rows[-1]["loss"]
    speed = median(r["tokens_per_second"] for r in rows)
    mfu = median(r["mfu"] for r in rows)
    epochs = life.manifest.counts["tokens_read"] / life.tokens.counts["train_tokens"]
    fell = "fell" if last < first else "went"
    diverged = steps - len(rows)
    return section(
        "training",
        f"The loss {fell} from {first:.2f} to {last:.2f} in {plural(len(rows), 'step')}",
        figure("training", f"Training loss from {first:.2f} to {last:.2f} nats per token over {steps} steps"),
        note(
            f"It read {compact(life.manifest.counts['tokens_read'])} of {compact(life.tokens.counts['train_tokens'])} "
            f"training tokens, {epochs:.2f} times the corpus, at {speed:,.0f} tokens per second and {percent(mfu)} "
            "MFU (medians; the share used of the arithmetic that the machine was measured to do when the run began). "
            f"Ticks at the foot are the {plural(len(life.checkpoints), 'checkpoint')} whose weights are kept. "
            "Held-out bits per byte are measured on a fixed sample while training goes on."
        ),
        note(f"In {plural(diverged, 'step')} the loss was not a number; they are not drawn.") if diverged else None,
    )


def composition(life: Life) -> Markup:
    """What the corpus consists of."""
    parts = life.components
    total = sum(c.bytes for c in parts) or 1
    told = ", ".join(f"{percent(c.bytes / total)} {c.name}" for c in parts[:4]) + (", …" if len(parts) > 4 else "")
    languages = sum(n for _, n in life.languages)
    spoken = [
        element("li", {}, element("b", {}, name), f" {n:,}", element("small", {}, f" {percent(n / languages, 1)}"))
        for name, n in life.languages
    ]
    return section(
        "composition",
        f"What it was given to read: {told}",
        *(_stacked(parts, what) for what in ("bytes", "tokens", "documents")),
        _component_table(parts),
        element("h3", {}, "Languages, as detected when documents were gathered"),
        element("ul", {"class": "chips"}, spoken),
    )


def _amount(part: Component, what: str) -> int:
    return {"bytes": part.bytes, "tokens": part.tokens, "documents": part.documents}[what]


def _stacked(parts: list[Component], what: str) -> Markup:
    """One bar of the whole, a piece for each component."""
    total = sum(_amount(p, what) for p in parts) or 1
    pieces = []
    for number, part in enumerate(parts):
        share = _amount(part, what) / total
        label = f"{part.name} {percent(share)}"
        if share < LABEL_SHARE * len(label):
            label = ""
        style = f"width:{100 * share:.3f}%;--colour:var(--c{number % 6})"
        pieces.append(element("span", {"style": style, "title": f"{part.name}: {_amount(part, what):,} {what}"}, label))
    return element(
        "div",
        {"class": "stack"},
        element("span", {"class": "what"}, what),
        element("div", {"class": "bar"}, pieces),
        element("span", {"class": "total"}, size_of(total) if what == "bytes" else compact(total)),
    )


def _component_table(parts: list[Component]) -> Markup:
    total = sum(p.bytes for p in parts) or 1
    rows = [
        (
            [element("i", {"class": "dot", "style": f"--colour:var(--c{n % 6})"}), p.name],
            f"{p.weight:g}",
            f"{p.documents:,}",
            f"{p.copies:,}" if p.copies else "–",
            f"{p.tokens:,}",
            size_of(p.bytes),
            percent(p.bytes / total, 1),
            f"{p.held_out:,}",
        )
        for n, p in enumerate(parts)
    ]
    return table(("component", "weight", "documents", "repeated", "tokens", "text", "share", "held out"), rows)


def left_out(life: Life) -> Markup:
    """From records to the mixture: what stayed, what did not, and why."""
    entered, staying = life.passages[0].entered, life.passages[-1].left
    flows = [_flow(p, entered) for p in life.passages]
    return section(
        "drops",
        f"{plural(entered, 'record')} became {plural(staying, 'document')}; "
        f"each of the other {entered - staying:,} has a reason",
        note(
            f"Read from {plural(life.archives, 'archive')}. In each row, what comes in equals what stays plus what is "
            "dropped; every drop is kept with its reason and the value that decided it."
        ),
        *flows,
        _split(life.mix),
    )


def _flow(passage: Passage, scale: int) -> Markup:
    dropped = passage.entered - passage.left
    kept, lost = passage.left / scale, dropped / scale
    most = max((n for _, n in passage.dropped), default=1)
    reasons = [
        element(
            "li",
            {},
            element("span", {"class": "reason"}, reason),
            element("span", {"class": "track"}, element("i", {"style": f"width:{100 * n / most:.2f}%"})),
            element("span", {"class": "count"}, f"{n:,}"),
        )
        for reason, n in passage.dropped
    ]
    rare = reasons[SHOWN_REASONS:]
    rest = sum(n for _, n in passage.dropped[SHOWN_REASONS:])
    unfold = f"{plural(len(rare), 'further reason')}, {plural(rest, 'drop')}"
    return element(
        "article",
        {"class": "flow"},
        element(
            "h3",
            {},
            passage.title,
            element(
                "span",
                {"class": "sum"},
                f"{passage.entered:,} {passage.unit} = {passage.left:,} kept + {dropped:,} dropped",
            ),
        ),
        element(
            "div",
            {"class": "sieve"},
            element("span", {"class": "kept", "style": f"width:{100 * kept:.3f}%"}),
            element("span", {"class": "lost", "style": f"width:{100 * lost:.3f}%"}),
        ),
        element("ul", {"class": "reasons"}, reasons[:SHOWN_REASONS]),
        element("details", {}, element("summary", {}, unfold), element("ul", {"class": "reasons"}, rare))
        if rare
        else None,
    )


def _split(mix: Manifest) -> Markup:
    counts = mix.counts
    proof = counts["unseen"]
    shared = ", ".join(f"{percent(share)} in {name}" for name, share in proof["ngram_share"].items())
    return note(
        f"Of the {counts['documents']['out']:,} documents, {counts['train_documents']:,} are for training (with "
        f"{plural(counts['copies'], 'repetition')} for components of weight above 1) and "
        f"{counts['validation_documents']:,} are held out. Training holds {proof['ids_in_both']} of the held-out ids, "
        f"{proof['texts_in_both']} of their texts and {proof['near_duplicates']} near-duplicates of them. Phrases of "
        f"{proof['ngram_words']} words that also stand somewhere in training: {shared or 'none'}."
    )


def footer(life: Life, name: str) -> Markup:
    """How to check all of it; `name` is the report's own folder."""
    return element(
        "footer",
        {},
        element("h2", {}, "Do not believe this page; check it"),
        note("In the folder that holds the report, this hashes every byte again, from here up to the archives:"),
        element("pre", {}, shlex.join(["libertas", "verify", name])),
        note(
            f"Made by libertas {life.manifest.version} from the run {short(life.manifest.fingerprint)}. "
            "The page is one file and asks the network for nothing."
        ),
    )
