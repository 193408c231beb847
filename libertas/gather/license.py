"""Under which license a page says it stands, as an SPDX identifier where there is one."""

import re

from libertas.gather.declared import Page, attributes_of, places_of

PORTED = frozenset(
    {
        "CC-BY-2.5-AU",
        "CC-BY-3.0-AT",
        "CC-BY-3.0-AU",
        "CC-BY-3.0-DE",
        "CC-BY-3.0-IGO",
        "CC-BY-3.0-NL",
        "CC-BY-3.0-US",
        "CC-BY-NC-3.0-DE",
        "CC-BY-NC-ND-3.0-DE",
        "CC-BY-NC-ND-3.0-IGO",
        "CC-BY-NC-SA-2.0-DE",
        "CC-BY-NC-SA-2.0-FR",
        "CC-BY-NC-SA-2.0-UK",
        "CC-BY-NC-SA-3.0-DE",
        "CC-BY-NC-SA-3.0-IGO",
        "CC-BY-ND-3.0-DE",
        "CC-BY-SA-2.0-UK",
        "CC-BY-SA-2.1-JP",
        "CC-BY-SA-3.0-AT",
        "CC-BY-SA-3.0-DE",
        "CC-BY-SA-3.0-IGO",
    }
)
"""National versions of Creative Commons licenses that have an identifier (SPDX license list 3.26)."""
UNPORTED = frozenset({"1.0", "2.0", "2.5", "3.0", "4.0"})
KINDS = frozenset({"by", "by-nc", "by-nc-nd", "by-nc-sa", "by-nd", "by-sa"})
ADDRESS = ("http://", "https://", "/")
SAME_KIND = {"by-nd-nc": "by-nc-nd"}
"""How version 1.0 was spelled."""

CC_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licen[cs]es/([a-z-]{2,10})/(\d\.\d)(?:/([a-z]{2,3})(?![a-z]))?|publicdomain/(zero|mark)/1\.0)",
    re.IGNORECASE,
)
CC_NAME = re.compile(
    r"(?<![a-z])CC[ -]?(BY(?:-(?:NC|ND|SA))*|0)(?:[ -](?:v\.? ?)?([1-4]\.\d))?(?:[ -]([A-Z]{2,3})(?![a-z]))?",
    re.IGNORECASE,
)
OTHERS = (
    (re.compile(r"apache\.org/licenses/LICENSE-2\.0", re.IGNORECASE), "Apache-2.0"),
    (re.compile(r"opensource\.org/licen[cs]es?/mit\b", re.IGNORECASE), "MIT"),
    (re.compile(r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?fdl-1\.3", re.IGNORECASE), "GFDL-1.3-only"),
    (re.compile(r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?fdl-1\.2", re.IGNORECASE), "GFDL-1.2-only"),
    (re.compile(r"gnu\.org/licenses/gpl-3\.0", re.IGNORECASE), "GPL-3.0-only"),
    (re.compile(r"gnu\.org/licenses/agpl-3\.0", re.IGNORECASE), "AGPL-3.0-only"),
)

RIGHTS_META = (
    "dc.rights", "dcterms.license", "dcterms.rights", "dc.rights.license", "dc:rights", "rights", "license", "copyright"
)  # fmt: skip
LICENSE_WORDS = ("license", "licence", "creativecommons.org/publicdomain")
MOST_LICENSES = 50
TAG_BEFORE = 600
"""A word is looked for so many characters behind the beginning of its tag."""
CREDIT_BEFORE = 120
PICTURE = re.compile(
    r"[Ff]oto|[Pp]hoto|[Bb]ild\b|[Bb]ilder|>[^<]*[Ii]mage|[Ff]lickr|[Ii]llustration|commons\.wikimedia|[Gg]rafik|[Vv]ideo|"
    r"[Mm]usi[ck]"
)
"""A license so many characters of source behind one of these words is that of a picture."""


def page_license(page: Page) -> tuple[str, bool]:
    """An SPDX identifier, or the address of the license, or nothing; and whether it was inferred: the page links to one
    Creative Commons license without saying that it is its own."""
    named, linked = _links(page.source)
    declared = [*page.links_of("license"), *named, *page.texts("license")]
    for text in (*declared, *page.all(*RIGHTS_META)):
        if name := spdx(text):
            return name, False
    for address in declared:
        if address.startswith(ADDRESS) and (whole := page.whole(address)):
            return whole, False
    names = {spdx(address) or page.whole(address) for address in linked} - {""}
    return (names.pop(), True) if len(names) == 1 else ("", False)


def _links(source: str) -> tuple[list[str], list[str]]:
    """Addresses of links in the text that are called the license, and of others to a Creative Commons license."""
    named: list[str] = []
    linked: list[str] = []
    last = -1
    for place in places_of(source, LICENSE_WORDS, MOST_LICENSES):
        start = source.rfind("<", max(0, place - TAG_BEFORE), place)
        if start == last or not source.startswith(("<a ", "<A ", "<a\n"), start):
            continue
        last = start
        tag = attributes_of(source[start + 2 : place + TAG_BEFORE].partition(">")[0])
        address = tag.get("href", "")
        if not address.startswith(ADDRESS) or PICTURE.search(source[max(0, start - CREDIT_BEFORE) : start]):
            continue
        if "license" in tag.get("rel", "").lower().split():
            named.append(address)
        elif CC_ADDRESS.search(address):
            linked.append(address)
    return named, linked


def spdx(text: str) -> str:
    """The SPDX identifier of the license that an address or a name with its version stands for, or nothing."""
    text = text[:1000]
    if match := CC_ADDRESS.search(text):
        kind, version, port, public = match.groups()
        if public:
            return "CC0-1.0" if public.lower() == "zero" else "CC-PDM-1.0"
        return _creative_commons(kind, version, port or "")
    if match := CC_NAME.search(text):
        if match[1] == "0":
            return "CC0-1.0"
        return _creative_commons(match[1], match[2] or "", match[3] or "")
    return next((name for pattern, name in OTHERS if pattern.search(text)), "")


def _creative_commons(kind: str, version: str, port: str) -> str:
    kind = SAME_KIND.get(kind.lower(), kind.lower())
    name = f"CC-{kind.upper()}-{version}"
    if port and (ported := f"{name}-{port.upper()}") in PORTED:
        return ported
    return name if kind in KINDS and version in UNPORTED and (not port or port.lower() == "deed") else ""
