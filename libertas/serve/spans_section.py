"""The section of a report with a traced text: its spans lead to the documents they stand in, and to their bytes."""

from itertools import groupby, pairwise
from typing import Any
from urllib.parse import urlsplit

from libertas.page.markup import Child, Markup, element, facts_list, percent, plural, table
from libertas.serve.life import Life
from libertas.serve.sections import note, section

Row = dict[str, Any]


def traced_text(life: Life) -> Markup:
    """The text with its spans as links, and a panel for each span that was followed; or how to trace one."""
    record = life.traced
    if record is None:
        return section(
            "text",
            "No text has been traced",
            note("Run ", element("code", {}, "libertas trace"), " on a generation and draw the report again with it."),
        )
    followed = sorted((s for s in record["spans"] if s["places"]), key=lambda s: (-s["tokens"], s["start"]))
    return section(
        "text",
        _heading(record),
        note(
            "Choose an underlined span to see where training held the same words, when the model read them, and the "
            "bytes of the archive they came from. Where a span stands is a fact; that the model wrote it because of "
            "that document is not shown."
        )
        if followed
        else None,
        _tints(),
        element("div", {"class": "paper", "data-tint": "match"}, element("p", {}, _painted(record, followed))),
        note(_followed(record, followed)),
        *(_panel(number, span) for number, span in enumerate(followed)),
    )


def _heading(record: Row) -> str:
    what = "what it wrote" if record["generated"] else "this text"
    runs = f"stands in its training data, in runs of {record['minimum']} tokens or more"
    if not record["spans"]:
        return f"Nothing of {what} {runs}"
    found = sum(s["end"] - s["start"] for s in record["spans"])
    first = min(record["prompt_end"], *(s["start"] for s in record["spans"]))
    return f"{percent(found / (len(record['text']) - first))} of {what} {runs}"


def _followed(record: Row, followed: list[Row]) -> str:
    if not followed:
        longest = max((t["longest"] for t in record["tokens"]), default=0)
        return f"The longest match has {plural(longest, 'token')}; trace with a lower minimum to see where it stands."
    places = [p for s in followed for p in s["places"]]
    return (
        f"{plural(len(record['spans']), 'span')} found. The longest {len(followed)} were followed to "
        f"{plural(len(places), 'place')}, of which {sum(p['verified'] for p in places):,} were read again from the "
        "archive with the recorded digest."
    )


def _tints() -> Markup:
    kinds = (("match", "length of match"), ("surprise", "surprise"), ("none", "nothing"))
    buttons = [
        element("button", {"type": "button", "data-tint": kind, "aria-pressed": str(kind == "match").lower()}, label)
        for kind, label in kinds
    ]
    return element(
        "p", {"class": "tints", "role": "group", "aria-label": "background of each token"}, "tint by ", buttons
    )


def _painted(record: Row, followed: list[Row]) -> list[Markup]:
    """The text cut where a token, a span or the prompt begins or ends; every character comes exactly once."""
    text, tokens, spans = record["text"], record["tokens"], record["spans"]
    cuts = {0, len(text), record["prompt_end"]}
    cuts.update(edge for piece in (*tokens, *spans) for edge in (piece["start"], piece["end"]))
    longest = max((t["longest"] for t in tokens), default=0) or 1
    pieces: list[tuple[int | None, Markup]] = []
    token, span = 0, 0
    for start, end in pairwise(sorted(cuts)):
        while token < len(tokens) and tokens[token]["end"] <= start:
            token += 1
        while span < len(spans) and spans[span]["end"] <= start:
            span += 1
        inside = span < len(spans) and spans[span]["start"] <= start
        prompt = start < record["prompt_end"]
        owner = tokens[token] if token < len(tokens) and tokens[token]["start"] <= start else None
        pieces.append((span if inside else None, _token(text[start:end], owner, longest, prompt)))
    numbers = {id(s): n for n, s in enumerate(followed)}
    return [
        _span([m for _, m in group], None if key is None else spans[key], numbers)
        for key, group in groupby(pieces, key=lambda piece: piece[0])
    ]


def _token(text: str, token: Row | None, longest: int, prompt: bool) -> Markup:
    if token is None:
        return element("span", {}, text)
    score = token["log_probability"]
    told = f"longest match {plural(token['longest'], 'token')}"
    style = f"--m:{round(100 * token['longest'] / longest)}"
    if score is not None:
        told += f"; log-probability {score:.2f}"
        style += f";--s:{round(100 * min(1.0, -score / 8))}"
    return element("span", {"class": "t prompt" if prompt else "t", "style": style, "title": told}, text)


def _span(pieces: list[Markup], span: Row | None, numbers: dict[int, int]) -> Markup:
    if span is None:
        return element("span", {}, pieces)
    times = f"{plural(span['occurrences'], 'time')} in {plural(span['documents'], 'training document')}"
    number = numbers.get(id(span))
    if number is None:
        return element("span", {"class": "found", "title": times}, pieces)
    attributes: dict[str, str | int | None] = {
        "class": "found followed",
        "href": f"#span-{number}",
        "role": "button",
        "aria-expanded": "false",
        "aria-controls": f"span-{number}",
        "style": f"--colour:var(--c{number % 6})",
    }
    return element("a", attributes, pieces)


def _panel(number: int, span: Row) -> Markup:
    shown = len(span["places"])
    told = (
        f"{plural(span['tokens'], 'token')}, {plural(span['occurrences'], 'time')} "
        f"in {plural(span['documents'], 'training document')}"
        + (f"; the first {shown} are shown" if span["documents"] > shown else "")
    )
    return element(
        "article",
        {"class": "origin", "id": f"span-{number}", "tabindex": -1, "style": f"--colour:var(--c{number % 6})"},
        element(
            "div",
            {"class": "top"},
            element("h3", {}, f"{number + 1}. ", element("q", {}, span["text"].strip() or "white space")),
            element("button", {"type": "button", "class": "close", "aria-label": "close"}, "×"),
        ),
        element("p", {"class": "told"}, told),
        [_place(place, opened=n == 0) for n, place in enumerate(span["places"])],
    )


def _place(place: Row, opened: bool) -> Markup:
    warc = place["warc"]
    proof = (
        element("span", {"class": "verified"}, "✓ verified: read again, digest equal")
        if place["verified"]
        else element("span", {"class": "unverified"}, "not from an archive")
    )
    title = element("b", {}, place["title"]) if place["title"] else None
    return element(
        "details",
        {"class": "place", "open": "" if opened else None},
        element("summary", {}, title, " ", _address(place["url"]), " ", proof),
        element(
            "pre", {"class": "context"}, "…", place["before"], element("mark", {}, place["span"]), place["after"], "…"
        ),
        facts_list(
            [
                ("component", place["component"]),
                ("read at", _steps(place["steps"])),
                ("archive", _bytes(warc) if warc else None),
                ("record", element("code", {}, warc["record_id"]) if warc else None),
                ("digest", element("code", {}, warc["payload_digest"]) if warc else None),
                ("document", element("code", {}, place["document_id"])),
            ]
        ),
        _decisions(place["rules"]),
    )


def _address(url: str | None) -> Child:
    """A link only for addresses of the web: any other scheme could be a program."""
    if not url:
        return None
    if urlsplit(url).scheme in ("http", "https"):
        return element("a", {"href": url, "rel": "noreferrer noopener"}, url)
    return element("span", {"class": "url"}, url)


def _bytes(warc: Row) -> Markup:
    where = f"offset {warc['offset']:,}, {warc['length']:,} bytes"
    return element("span", {}, element("code", {}, warc["file"]), f" {where}")


def _steps(steps: Row) -> str:
    if not steps["total"]:
        return "no training step"
    first, last = (", ".join(f"{n:,}" for n in steps[key]) for key in ("first", "last"))
    gap = " … " if steps["total"] > len(steps["first"]) + len(steps["last"]) else ", "
    listed = first + (gap + last if last else "")
    return f"training step{'' if steps['total'] == 1 else 's'} {listed}" + (
        f" ({steps['total']:,} in all)" if steps["total"] > 1 else ""
    )


def _decisions(rules: list[Row]) -> Markup | None:
    if not rules:
        return None
    rows = [(r["rule"], _value(r["value"]), r["reason"] or "kept") for r in rules]
    against = sum(bool(r["reason"]) for r in rules)
    told = f"let in by {plural(len(rules), 'rule')}" if not against else f"{plural(against, 'rule')} spoke against it"
    return element("details", {}, element("summary", {}, told), table(("rule", "value", "verdict"), rows))


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
