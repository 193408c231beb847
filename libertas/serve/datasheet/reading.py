"""Sections on what the texts say: topics, neighbours of words for people, compressibility, phrases, questions."""

from typing import Any

from libertas.curate.datasheet.compress import CODECS
from libertas.page.markup import percent, plural
from libertas.serve.datasheet.blocks import (
    Answer,
    Block,
    Cell,
    Chapter,
    Chart,
    Fold,
    Prose,
    Rows,
    Title,
    clipped,
    digits,
)
from libertas.serve.datasheet.contents import Facts, component_names
from libertas.serve.datasheet.figures import compression_figure, topic_figure

SHOWN_COMPONENTS = 8


def topic_part(facts: Facts) -> Chapter:
    """Topics with their words, and where they are."""
    topics, sample = facts["topics"]["topics"], facts["topics"]["documents"]
    if not topics:
        why = (
            "They were not asked for."
            if facts["topics"]["asked"] == 0
            else f"{plural(sample, 'document')} are too few for topics."
        )
        return Chapter("topics", "Topics", "No topics", [Prose(why)])
    order = component_names(facts)
    table: list[list[Cell]] = [
        [
            clipped(", ".join(topic["words"]), 220),
            *(percent(topic["components"].get(n, 0.0), 1) for n in order[:SHOWN_COMPONENTS]),
        ]
        for topic in topics
    ]
    first = ", ".join(str(clipped(word, 20)) for word in topics[0]["words"][:3])
    what = "Share of each topic in each component, in percent"
    charts = [Chart("topics", topic_figure(topics, order), what)] if len(order) > 1 else []
    return Chapter(
        "topics",
        "Topics",
        f"{plural(len(topics), 'topic')}, the first of which is {first}",
        [
            *charts,
            Rows(["words of most weight", *(clipped(name, 24) for name in order[:SHOWN_COMPONENTS])], table),
            Prose(
                f"Non-negative matrix factorization of {sample:,} sampled documents, as many of each component where "
                "there are as many. Stop words are those that many documents of a language share. A share is the mean "
                "over the sampled documents of a component. Topics say which words stand together, and no more."
            ),
        ],
    )


def neighbour_part(facts: Facts) -> Chapter:
    """What stands beside words for gender, religion and nationality."""
    told = facts["associations"]
    blocks: list[Block] = [
        Prose(
            f"In {told['english_words']:,} words of English text. A word counts once for each {told['stretch']} "
            f"words in which it stands within {told['reach']} words of a term of the group. Shown are words that stand "
            f"near one group more often than near the others of its category, {told['least']} times or more, with "
            f"a log-likelihood of {told['sure']} or more; × is how many times more often than expected. The lists of "
            "terms are short, English, and in the source; they leave out much, and a word beside a term may deny as "
            "well as affirm."
        )
    ]
    for category, groups in told["categories"].items():
        blocks.append(Title(category.capitalize()))
        shown = sorted((g for g in groups if g["mentions"]), key=lambda g: (-g["mentions"], g["group"]))
        if not shown:
            blocks.append(Prose("No term of these groups occurs."))
            continue
        rows: list[list[Cell]] = [
            [
                g["group"],
                _neighbours(g["words"]),
                _neighbours(g["adjectives"]),
                f"{g['mentions']:,}",
                digits(g["per_million"]),
            ]
            for g in shown
            if g["words"]
        ]
        silent = [f"{g['group']} {g['mentions']:,}" for g in shown if not g["words"]]
        if rows:
            headings = ["group", "stand near it", "of these, like adjectives", "mentions", "per million"]
            blocks.append(Rows(headings, rows, names=3))
        if silent:
            blocks.append(Prose(f"Named, but with no neighbour that sets them apart: {', '.join(silent)}."))
    women, men = told["categories"]["gender"][:2]
    ratio = men["mentions"] / women["mentions"] if women["mentions"] else None
    heading = (
        f"Men are spoken of {digits(ratio, 2)} times as often as women"
        if ratio
        else "Words for people, and their neighbours"
    )
    return Chapter("neighbours", "Neighbours", heading, blocks)


def _neighbours(rows: list[dict[str, Any]]) -> str:
    return clipped(
        ", ".join(f"{clipped(r['word'], 24)} {r['count']} ×{digits(r['times'], 2)}" for r in rows) or "–", 500
    )


def compression_part(facts: Facts) -> Chapter:
    """How far the text of each component can be compressed."""
    told, order = facts["compressibility"]["components"], component_names(facts)
    if not told:
        return Chapter("compressibility", "Compressibility", "There is no text to compress", [])
    best = min((told[name]["xz"]["mean"], name) for name in told)
    rows = [
        [clipped(n, 40), *(_estimate(told[n][codec]) for codec in CODECS), str(told[n]["xz"]["blocks"])]
        for n in order
        if n in told
    ]
    return Chapter(
        "compressibility",
        "Compressibility",
        f"xz makes {digits(best[0])} bytes of a byte of {clipped(best[1], 30)}"
        + (", the most repetitive component" if len(told) > 1 else ""),
        [
            Chart(
                "compressibility", compression_figure(told, order), "Compressed bytes per byte by component and codec"
            ),
            Rows(["component", "zstd 3", "zstd 19", "xz", "blocks"], rows, dots=True),
            Prose(
                f"Blocks of {facts['compressibility']['block_bytes'] >> 10} KiB of sampled text, each compressed "
                "alone; ± is half of a 95 % interval over blocks. Fewer bytes mean more "
                "repetition and boilerplate, more mean noise or many scripts."
            ),
        ],
    )


def _estimate(value: Facts) -> str:
    return f"{value['mean']:.3f}" + (f" ±{value['interval']:.3f}" if value["interval"] is not None else "")


def repeat_part(facts: Facts) -> Chapter:
    """Lines and runs of words that many documents share."""
    told, blocks = facts["repeats"]["components"], list[Block]()
    for name in component_names(facts)[:SHOWN_COMPONENTS]:
        if name not in told or not (told[name]["lines"] or told[name]["runs"]):
            continue
        rows: list[list[Cell]] = [
            [
                what,
                clipped(row["text"], 160),
                f"{row['documents']:,}",
                percent(row["documents"] / told[name]["documents"], 1),
            ]
            for what, key in (("line", "lines"), ("words", "runs"))
            for row in told[name][key]
        ]
        blocks += [Title(clipped(name, 40)), Rows(["", "text", "documents", "share of sample"], rows, names=2)]
    most = max(
        (row["documents"] / part["documents"] for part in told.values() for row in part["lines"] + part["runs"]),
        default=0.0,
    )
    heading = (
        f"The most common phrase stands in {percent(most, 1)} of a component's sample"
        if blocks
        else "No phrase stands in two sampled documents"
    )
    settings = facts["repeats"]
    return Chapter(
        "repeats",
        "Repeated phrases",
        heading,
        [
            Prose(
                f"Lines of {settings['line_characters']} characters or more, and runs of {settings['run_words']} "
                f"words, that stand in several of at most {facts['sample']['per_component']:,} sampled documents of a "
                "component."
            ),
            *blocks,
        ],
    )


def question_part(facts: Facts) -> Chapter:
    """Datasheets for Datasets."""
    blocks: list[Block] = [
        Prose(
            "The questions of Datasheets for Datasets (Gebru et al. 2021), in short. What a number answers is "
            "answered; what only its makers know is marked, and `--about FILE` fills it in."
        )
    ]
    part = ""
    for row in facts["questions"]:
        if row["part"] != part:
            part = row["part"]
            blocks.append(Title(part))
        blocks.append(Answer(row["question"], row["author"], row["facts"]))
    open_ones = sum(row["author"] is None and row["facts"] is None for row in facts["questions"])
    answered = len(facts["questions"]) - open_ones
    heading = f"{answered} of {len(facts['questions'])} questions are answered" + (
        f"; {open_ones} wait for its makers" if open_ones else ""
    )
    return Chapter("questions", "Questions", heading, [*blocks, *([] if open_ones == 0 else _prompt_file(facts))])


def _prompt_file(facts: Facts) -> list[Block]:
    keys = ", ".join(f"`{row['key']}`" for row in facts["questions"] if row["author"] is None and row["facts"] is None)
    return [Fold("Keys of the answers that are missing", [Prose(f"In the table `answers` of the file: {keys}.")])]
