"""What pages and servers say against the use of a text: by machines in general, for search, for training.

Nothing is left out because of it here; it is written down, so that whoever uses the corpus can decide. Each signal is a
string: where it was said and for whom, then what was said, such as `meta robots: noai` or `X-Robots-Tag googlebot:
noindex`. Forms: robots meta and X-Robots-Tag as Google documents them, with the `noai` and `noimageai` of DeviantArt;
TDM Reservation Protocol, W3C Community Group final report 2024; `ai_txt.py` reads what a site says for all its pages.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urljoin

DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "none", "nosnippet", "noarchive", "nocache", "max-snippet:0"})
"""Directives that reserve something; `none` means noindex and nofollow."""
WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Directives that are followed by a colon and a value; before a colon, anything else is the name of a robot."""
AI_ROBOTS = frozenset(
    {"ai2bot", "amazonbot", "anthropic-ai", "applebot-extended", "bytespider", "ccbot", "claude-web", "claudebot",
     "cohere-ai", "diffbot", "facebookbot", "google-extended", "gptbot", "imagesiftbot", "meta-externalagent",
     "omgili", "omgilibot", "perplexitybot", "timpibot", "webzio-extended", "youbot"}
)  # fmt: skip
"""Robots and product tokens that collect text for language models, in lower case."""
ROBOTS = AI_ROBOTS | {
    "robots",
    "googlebot",
    "googlebot-news",
    "bingbot",
    "slurp",
    "yandex",
    "baiduspider",
    "msnbot",
    "teoma",
}
"""Names of meta elements that speak to robots."""
TDM, TDM_POLICY = "tdm-reservation", "tdm-policy"
MOST_SIGNALS = 100


def opt_outs_of_meta(meta: Mapping[str, list[str]], url: str) -> list[str]:
    """Signals in a page's meta elements, given as contents by name in lower case."""
    found = []
    for name in meta.keys() & ROBOTS:
        found += [f"meta {name}: {word}" for content in meta[name] for word in _reserving(content)]
    if "1" in meta.get(TDM, ()):
        found += _tdm("meta", next(iter(meta.get(TDM_POLICY, ())), ""), url)
    if "x-robots-tag" in meta:  # as http-equiv
        found += [s for content in meta["x-robots-tag"] for s in _robots_tag("meta X-Robots-Tag", content)]
    return sorted(set(found))[:MOST_SIGNALS]


def opt_outs_of_headers(headers: Iterable[tuple[str, str]], url: str) -> list[str]:
    """Signals in the HTTP headers of an answer; `url` is the page's, against which the address of a policy is read."""
    found: list[str] = []
    reserved, policy = False, ""
    for name, value in headers:
        match name.lower():
            case "x-robots-tag":
                found += _robots_tag("X-Robots-Tag", value)
            case "tdm-reservation":
                reserved = reserved or value.strip() == "1"
            case "tdm-policy":
                policy = policy or value.strip()
    if reserved:
        found += _tdm("HTTP", policy, url)
    return sorted(set(found))[:MOST_SIGNALS]


def _reserving(content: str) -> list[str]:
    """The directives of a robots meta element that reserve something."""
    words = content.lower().replace(" :", ":").replace(": ", ":").replace(";", ",").replace(" ", ",").split(",")
    return [word for word in words if word in DIRECTIVES]


def _robots_tag(where: str, value: str) -> list[str]:
    """Signals of one X-Robots-Tag: `noindex, noai`, or `somebot: noindex`, where the name holds to the end."""
    found, robot = [], ""
    for part in value.split(","):
        name, colon, rest = part.strip().partition(":")
        if colon and name.strip().lower() not in WITH_VALUE:
            robot, part = f" {name.strip()}", rest
        found += [f"{where}{robot}: {word}" for word in _reserving(part.strip())]
    return found


def _tdm(where: str, policy: str, url: str) -> list[str]:
    """Text and data mining is reserved, and where terms are offered if they are."""
    try:
        address = urljoin(url, policy)
    except ValueError:
        address = policy
    return [f"{where} {TDM}: 1", *([f"{where} {TDM_POLICY}: {address}"] if policy else [])]
