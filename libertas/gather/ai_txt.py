"""What sites say in ai.txt against the use of their texts, joined to their pages.

ai.txt as Spawning proposed it in 2023: a file at the root of a site, in the grammar of robots.txt (RFC 9309), whose
patterns are addresses or types of files. It speaks for the pages of its origin: same scheme, host and port. Other
formats of the same name hold no such rules, and so say nothing here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from libertas.document import Document
from libertas.gather.opt_out import MOST_SIGNALS

AI_TXT_BYTES = 500 * 1024
"""So much of the file is read: RFC 9309, 2.5."""
MOST_RULES = 100
"""Rules of one file that count."""
MOST_RULES_OF_SITE = 1000
"""Rules of all the ai.txt that an archive has of one site."""
PATTERN_CHARACTERS = 500
"""A longer pattern is none."""
MOST_RULES_OF_ALL = 200_000
"""Rules of all sites of an archive that are remembered."""
ADDRESS_CHARACTERS = 8000
"""So much of a page's address is compared; RFC 9110, 4.1, asks that 8,000 octets be supported."""
USUAL_PORTS = {"http": 80, "https": 443}


class AiRule(NamedTuple):
    """One rule of an ai.txt."""

    agent: str
    allows: bool
    pattern: str


def is_ai_txt(uri: str) -> bool:
    """Whether this is the address of a site's ai.txt."""
    origin = origin_of(uri) if uri.endswith("/ai.txt") else ""
    return origin != "" and urlsplit(uri).path == "/ai.txt"


def origin_of(uri: str) -> str:
    """Scheme, host and port of a web address, in one spelling; empty for anything else."""
    try:
        parts = urlsplit(uri)
        port = parts.port or USUAL_PORTS[parts.scheme]
    except (KeyError, ValueError):
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname and parts.scheme in USUAL_PORTS else ""


def rules_of_ai_txt(body: bytes) -> list[AiRule]:
    """The rules in an ai.txt, in order; those before any User-agent are for all."""
    if len(body) > AI_TXT_BYTES:  # what is left of a line that was cut says something else
        body = body[: max(body.rfind(b"\n", 0, AI_TXT_BYTES), 0)]
    rules: list[AiRule] = []
    agents: list[str] = []
    in_rules = False
    for line in body.decode("utf-8-sig", "replace").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), " ".join(value.split())
        if not colon or len(value) > PATTERN_CHARACTERS:
            continue
        if key == "user-agent":
            agents = [value] if in_rules else [*agents, value][:MOST_RULES]
            in_rules = False
        elif key in ("disallow", "allow"):
            in_rules = True
            if value:
                rules += [AiRule(agent, key == "allow", value) for agent in agents or ["*"]]
        if len(rules) >= MOST_RULES:
            break
    return rules[:MOST_RULES]


def opt_outs_of_ai_txt(rules: Sequence[AiRule], url: str) -> list[str]:
    """What the ai.txt of a page's site says against its use, as signals for `meta.opt_out`.

    A rule for addresses counts where it matches the page's, unless one that allows it matches with a pattern at least
    as long (RFC 9309, 2.2.2). A rule for a type of files, such as `*.txt`, counts for every page: of which type a text
    is, its address does not say.
    """
    parts = urlsplit(url)
    address = unquote(((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))[:ADDRESS_CHARACTERS])
    heard = [rule for rule in rules if "/" not in rule.pattern or _matches(unquote(rule.pattern), address)]
    allowed: dict[str, int] = {}
    for agent, allows, pattern in heard:
        if allows and "/" in pattern:
            allowed[agent] = max(allowed.get(agent, 0), len(pattern))
    found = {
        f"ai.txt {agent}: disallow {pattern}"
        for agent, allows, pattern in heard
        if not allows and ("/" not in pattern or len(pattern) > allowed.get(agent, 0))
    }
    return sorted(found)[:MOST_SIGNALS]


def _matches(pattern: str, address: str) -> bool:
    """Whether a pattern with `*` and a `$` at its end matches the beginning of an address (RFC 9309, 2.2.3)."""
    first, *others = pattern.removesuffix("$").split("*")
    to_the_end = pattern.endswith("$")
    if not address.startswith(first):
        return False
    place = len(first)
    last = others.pop() if others and to_the_end else None
    for part in others:
        found = address.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    if last is not None:
        return address.endswith(last) and len(address) - len(last) >= place
    return not to_the_end or place == len(address)


class AiTxts:
    """What is known of the sites of one archive while it is read; in the end every page carries what its site says.

    A page behind the ai.txt of its site gets its signals at once. Where the ai.txt comes later, `late` says that
    documents that are written already have to be marked again.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.late = False
        self._rules: dict[str, list[AiRule]] = {}
        self._left = MOST_RULES_OF_ALL
        self._seen: set[str] = set()

    def hear(self, uri: str, body: bytes) -> bool:
        """Take up an ai.txt; False if there is no room for its rules. Where a site has several, all of them count."""
        origin = origin_of(uri)
        before = self._rules.get(origin, [])
        rules = [rule for rule in rules_of_ai_txt(body) if rule not in before]
        if len(rules) > min(self._left, MOST_RULES_OF_SITE - len(before)):
            return False
        if rules:
            self._left -= len(rules)
            self._rules[origin] = before + rules
            self.late = self.late or origin in self._seen
        return True

    def marked(self, document: Document) -> Document:
        """A document with the signals of its site beside those it has."""
        url = document.meta["url"]
        origin = origin_of(url)
        self._seen.add(origin)
        rules = self._rules.get(origin)
        signals = opt_outs_of_ai_txt(rules, url) if rules else []
        if not signals:
            return document
        meta = dict(document.meta)
        warc = meta.pop("warc")
        meta["opt_out"] = sorted({*meta.get("opt_out", ()), *signals})
        return replace(document, meta=meta | {"warc": warc})
