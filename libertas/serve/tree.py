"""The section of a report with the lineage: every artifact from the page to the raw archives, as a nested list."""

import os
from pathlib import Path

from libertas.lineage.fingerprint import canonical
from libertas.lineage.manifest import Manifest
from libertas.lineage.walk import Node, short
from libertas.page.markup import Markup, compact, duration, element, facts_list, moment, plural, size_of
from libertas.serve.life import Life
from libertas.serve.sections import note, section

MOST_COUNTS = 3


def lineage_tree(life: Life, base: Path) -> Markup:
    """All artifacts, with paths relative to the folder `base`."""
    roots = [n for n in (life.run, life.result, life.trace) if n is not None]
    artifacts = list(life.artifacts().values())
    seconds = sum(m.seconds for m in artifacts)
    files = [f for m in artifacts for f in m.files]
    seen: set[Path] = set()
    report = element(
        "li",
        {},
        element("span", {"class": "node"}, element("b", {}, "report"), " this page"),
        element("ul", {}, [_branch(root, base, seen) for root in roots]),
    )
    return section(
        "lineage",
        f"It was made by {plural(len(artifacts), 'stage')} in {duration(seconds)}, and each knows its bytes",
        note(
            f"{plural(len(files), 'file')}, {size_of(sum(f.bytes for f in files))}, all hashed. Unfold an artifact for "
            "its settings, hashes and the command that made it."
        ),
        element("ul", {"class": "tree"}, report),
    )


def _branch(node: Node, base: Path, seen: set[Path]) -> Markup:
    place = os.path.relpath(node.path, base)
    if node.manifest is None:
        return element("li", {}, element("span", {"class": "node"}, element("b", {}, "file"), " ", place))
    manifest = node.manifest
    line = [
        element("b", {}, manifest.kind),
        " ",
        element("span", {"class": "path"}, place),
        " ",
        element("code", {}, short(manifest.fingerprint)),
    ]
    if node.path in seen:
        return element("li", {}, element("span", {"class": "node again"}, line, " above"))
    seen.add(node.path)
    told = ", ".join([*_counted(manifest), duration(manifest.seconds)])
    facts = facts_list(
        [
            ("fingerprint", element("code", {}, manifest.fingerprint)),
            ("content", element("code", {}, manifest.content)),
            ("stage code", element("code", {}, manifest.code)),
            ("finished", moment(manifest.finished)),
            ("memory", f"at most {size_of(manifest.peak_memory_bytes)}"),
            ("files", f"{len(manifest.files):,}, {size_of(sum(f.bytes for f in manifest.files))}"),
            ("command", element("code", {}, " ".join(manifest.command))),
        ]
    )
    settings = element("pre", {}, canonical(manifest.identity).decode().rstrip())
    return element(
        "li",
        {},
        element(
            "details",
            {},
            element("summary", {"class": "node"}, line, element("span", {"class": "told"}, " ", told)),
            facts,
            settings,
        ),
        element("ul", {}, [_branch(p, base, seen) for p in node.parents]) if node.parents else None,
    )


def _counted(manifest: Manifest) -> list[str]:
    """What was counted, as far as it fits on a line: documents first, then up to `MOST_COUNTS` numbers."""
    counts = manifest.counts
    documents = counts.get("documents")
    said = [plural(documents["out"], "document")] if isinstance(documents, dict) else []
    for name, value in counts.items():
        if isinstance(value, int | float) and value:
            said.append(f"{compact(value) if isinstance(value, int) else f'{value:.3g}'} {name.replace('_', ' ')}")
    return said[:MOST_COUNTS]
