"""Addresses in networks: e-mail, IP, MAC."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from libertas.curate.privacy.spans import NumberRun, PrivateSpan, joins, line_before

LONGEST_LOCAL, LONGEST_DOMAIN = 64, 253
"""Characters, RFC 5321 section 4.5.3.1 and RFC 1035."""
LATIN = "A-Za-z\u00c0-\u024f"
LAST_LATIN = "\u024f"
LATIN_DOMAIN = re.compile(
    rf"(?:[{LATIN}0-9](?:[{LATIN}0-9_\-]{{0,61}}[{LATIN}0-9])?\.){{1,8}}(?:xn--[a-z0-9\-]{{2,59}}|[a-zA-Z]{{2,24}})"
    rf"(?![{LATIN}0-9])"
)
"""Ends where other letters begin, as a Japanese sentence goes on without a space."""
OTHER_DOMAIN = re.compile(r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![^\W_])")
USER_OF_URL = re.compile(r"://[^\s/@]*\Z")
COMMON_ENDINGS = (
    "com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia post arpa app dev "
    "online site shop store club xyz tech cloud blog live email agency world global digital media news space website "
    "top win vip work works life today studio design group company solutions services systems network center academy "
    "university education school institute international foundation ngo ong charity health care clinic doctor legal "
    "law bank finance financial money capital insurance energy eco green bio farm garden house homes land estate "
    "software hosting host zone page wiki press photo photos gallery art music video film show games game fun fan "
    "social community chat support help guru ninja expert consulting engineering technology computer science "
    "berlin london paris wien hamburg koeln nyc tokyo amsterdam moscow istanbul africa scot wales eus gal bzh "
    "restaurant cafe bar pub pizza beer wine coffee hotel tours vacations flights taxi bike auto cars church "
    "google amazon apple microsoft swiss"
)
GENERIC_ENDINGS = frozenset(COMMON_ENDINGS.split())
"""Frequent top-level domains of more than two letters, behind which a name can stop; those of two letters are all
countries. Other endings count too (IANA has over a thousand, and they change), if the whole name has no such stop."""
FILE_ENDINGS = (
    "avif bak bin bmp bz2 cfg conf cpp css csv dll doc docx eps exe gif gzip htm html ico ini iso jar java jpeg jpg "
    "json jsx lock log map mjs mpeg mpg out patch pdf php png ppt psd pyc rar rpm scss sql svg swf tar tgz tmp toml "
    "tsx ttf txt wav webm webp whl woff xls xlsx xml yaml yml zip"
)
CODE_ENDINGS = (
    "args array astype attr columns conj copy dtype flatten idx index item items len length max mean min ndim null "
    "prototype ravel reshape self shape size sum transpose value values weight weights"
)
LOCAL_ENDINGS = "mount scope service slice socket target timer corp internal intranet lan local localdomain"
"""Units of systemd, and hosts that only their own network knows."""
NO_ENDINGS = frozenset(f"{FILE_ENDINGS} {CODE_ENDINGS} {LOCAL_ENDINGS}".split())
"""What follows `x@y.` in pages, code and logs and is no part of an address."""
NO_COUNTRY = frozenset(("js", "rb", "ts", "go", "hs", "kt", "vb", "db"))
"""Endings of two letters that are files or variables and no country's."""
RESERVED_DOMAIN = re.compile(r"(?:.*\.)?(?:example\.(?:com|net|org)|example|test|invalid|localhost)\Z", re.IGNORECASE)
"""RFC 2606: belongs to nobody."""
AT_BRACKETS = re.compile(r"[(\[{<][ ]?(?:at|AT|At)[ ]?[)\]}>][ ]?")
AT_BARE = re.compile(r" at (?=[\w.\-]{1,253} dot )| AT (?=[\w.\-]{1,253} DOT )")
SPELLED_DOT = r"(?:[ ]?[(\[{<][ ]?(?:dot|DOT|Dot|punkt)[ ]?[)\]}>][ ]?|[ ](?:dot|DOT)[ ])"
SPELLED_DOMAIN = re.compile(rf"[\w\-]{{1,63}}(?:(?:\.|{SPELLED_DOT})[\w\-]{{1,63}}){{1,5}}")
DOT_WORD = re.compile(SPELLED_DOT)

IPV4 = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|ver|v|release|rel|build|firmware|driver|sdk|rev|revision|update|section|sect|sec|chapter|kapitel"
    r"|oid|art|artikel|abschnitt|version[a-z]{1,3}|ios|android|chrome|firefox|windows|kernel|п|ст|p)\b|[§v])[\s.:=\-/>\"']*\Z"
)
ADDRESS_BEFORE = re.compile(
    r"(?:\b(?:ip|ips|host|hosts|server|address|addr|dns|nameserver|ping|statistics for)\b|://|@)\W*\Z"
)
SMALL_OCTET = 20
"""Versions and numbers of sections are made of numbers below this; an address has two of it or more but one time in
five hundred."""
SPECIAL_4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
)
NOT_PUBLIC_4 = [IPv4Network(net) for net in SPECIAL_4.split()]
"""IANA's registry of special-purpose addresses (RFC 6890), and multicast."""
PUBLIC_6 = IPv6Network("2000::/3")
DOCUMENTATION_6 = [IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20")]
COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*+")
"""From the first colon of an address on; a search for one character is the fastest there is."""
HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
MAC_COLONS = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
MAC_HYPHENS = re.compile(r"-(?:[0-9A-Fa-f]{2}-){4}[0-9A-Fa-f]{2}(?![\w\-])")
MAC_DOTS = re.compile(r"\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![\w]|\.\w)")
NO_MAC = re.compile(r"(?:00[-:]00[-:]5e[-:]00[-:]53.*|(..)(?:[-:]?\1){5})\Z", re.IGNORECASE)
"""RFC 7042's documentation range, and six times the same."""


def emails(text: str) -> Iterator[PrivateSpan]:
    """E-mail addresses, also of internationalized names and those that write `at` and `dot` as words."""
    at = text.find("@")
    while at >= 0:
        local = _local_before(text, at)
        if local < at:
            end = _domain_end(text, at + 1)
            if end and not _is_login(text, local, at, end):
                yield PrivateSpan(local, end, "email", "address")
        at = text.find("@", at + 1)
    yield from _spelled_out(text)


def _local_before(text: str, at: int) -> int:
    """Where the name before an `@` begins; `at` itself where there is none."""
    if at == 0 or not (text[at - 1].isalnum() or text[at - 1] in "_-+"):
        return at
    start, latin = at, None
    while start > max(0, at - LONGEST_LOCAL) and (text[start - 1].isalnum() or text[start - 1] in "._+%-"):
        if text[start - 1].isalpha():
            if latin is None:
                latin = text[start - 1] <= LAST_LATIN
            elif latin != (text[start - 1] <= LAST_LATIN):
                break
        start -= 1
    while start < at and text[start] in "._%-+":
        start += 1
    return start


def _is_login(text: str, local: int, at: int, end: int) -> bool:
    """`git@host:path` and `hg@host` name a protocol's user, nobody; `://user:password@` is for `keys`."""
    if text[local:at] in ("git", "hg", "svn") or (text[end : end + 1] == ":" and text[end + 1 : end + 2].isalpha()):
        return True
    return USER_OF_URL.search(text, max(0, local - LONGEST_LOCAL), local) is not None


def _domain_end(text: str, start: int) -> int:
    """Where the domain that begins here ends, or 0 if what stands here is none that an address can have."""
    domain = LATIN_DOMAIN if text[start : start + 1] <= LAST_LATIN else OTHER_DOMAIN
    match = domain.match(text, start, start + LONGEST_DOMAIN)
    if match is None or text[match.end() : match.end() + 1] in ("(", "@"):
        return 0
    name = match[0]
    while not _is_frequent_ending(name.rpartition(".")[2]):
        name = name.rpartition(".")[0]
        if "." not in name:
            name = match[0]
            if not _has_rare_ending(name):
                return 0
            break
    return 0 if RESERVED_DOMAIN.match(name) else start + len(name)


def _has_rare_ending(name: str) -> bool:
    """Whether a domain may end so though few do; one with capitals is a variable, or runs into the next sentence."""
    ending = name.rpartition(".")[2]
    return name.islower() and ending.isascii() and ending.isalpha() and len(ending) > 2 and ending not in NO_ENDINGS


def _is_frequent_ending(ending: str) -> bool:
    if not ending.isascii() or ending.startswith("xn--"):
        return True
    lower = ending.lower()
    return lower in GENERIC_ENDINGS or (len(lower) == 2 and lower.isalpha() and lower not in NO_COUNTRY)


def _spelled_out(text: str) -> Iterator[PrivateSpan]:
    """Addresses such as `name (at) host dot org`; a bare ` at ` counts only with a ` dot ` after it."""
    bare = AT_BARE.finditer(text) if " dot " in text or " DOT " in text else ()
    for match in (*AT_BRACKETS.finditer(text), *bare):
        at = match.start() - text.startswith(" ", match.start() - 1) if match.start() else 0
        local, domain = _local_before(text, at), SPELLED_DOMAIN.match(text, match.end())
        if local < at and domain:
            plain = DOT_WORD.sub(".", domain[0])
            rare = match[0].strip().lower() != "at" and _has_rare_ending(plain)
            if (rare or _is_frequent_ending(plain.rpartition(".")[2])) and not RESERVED_DOMAIN.match(plain):
                yield PrivateSpan(local, domain.end(), "email", "spelled out")


def ipv4_addresses(run: NumberRun, private: bool) -> Iterator[PrivateSpan]:
    """IPv4 addresses; numbers of versions and sections are not."""
    if run.window.count(".") < 3:
        return
    for match in IPV4.finditer(run.window):
        start, end = run.first + match.start(), run.first + match.end()
        if _is_ipv4(run.text, start, end, private):
            yield PrivateSpan(start, end, "ip", "IPv4")


def _is_ipv4(text: str, start: int, end: int, private: bool) -> bool:
    try:
        address = IPv4Address(text[start:end])
    except AddressValueError:
        return False
    if not private and any(address in net for net in NOT_PUBLIC_4):
        return False
    left, right = text[max(0, start - 2) : start], text[end : end + 2]
    if left and (joins(left[-1]) or left[-1] == "_" or (left[-1] in "/-" and left[0].isalpha())):
        return False
    if right and (joins(right[0]) or right[0] == "_" or (right[0] == "-" and right[1:].isalnum())):
        return False
    before = line_before(text, start, 24)
    if ADDRESS_BEFORE.search(before):
        return True
    large = sum(octet >= SMALL_OCTET for octet in address.packed)
    return large >= 2 and VERSION_BEFORE.search(before) is None


def colon_addresses(text: str, private: bool) -> Iterator[PrivateSpan]:
    """IPv6 and MAC addresses that are written with colons."""
    for match in COLONS.finditer(text):
        start, end = match.span()
        while start > max(0, match.start() - 4) and text[start - 1] in HEXADECIMAL:
            start -= 1
        if text[start : start + 2] == "6:" and text[max(0, start - 3) : start].lower() == "ipv":
            start += 2
        while end - start > 2 and text[end - 1] == ":" and text[end - 2] != ":":
            end -= 1
        named = text[max(0, start - 5) : start].lower() == "ipv6:"
        if (start and not named and (text[start - 1].isalnum() or text[start - 1] in "_:")) or text[
            end : end + 1
        ].isalnum():
            continue
        found = text[start:end]
        if len(found) == 17 and MAC_COLONS.fullmatch(found):
            if not NO_MAC.match(found):
                yield PrivateSpan(start, end, "mac", "MAC")
        elif _is_ipv6(found, private):
            yield PrivateSpan(start, end, "ip", "IPv6")


def _is_ipv6(found: str, private: bool) -> bool:
    try:
        address = IPv6Address(found) if len(found) <= 39 else None
    except AddressValueError:
        return False
    if address is None:
        return False
    if found.endswith("::"):  # a network
        return False
    if private:
        return len(found) > 4 and any(c.isdigit() for c in found)
    return address in PUBLIC_6 and not any(address in net for net in DOCUMENTATION_6)


def mac_addresses(text: str) -> Iterator[PrivateSpan]:
    """MAC addresses with hyphens, or in three parts with dots."""
    for pattern, before in ((MAC_HYPHENS, 2), (MAC_DOTS, 4)):
        for match in pattern.finditer(text):
            start, end = match.start() - before, match.end()
            if start < 0 or not HEXADECIMAL.issuperset(text[start : match.start()]):
                continue
            if start and (text[start - 1].isalnum() or text[start - 1] in "-._"):
                continue
            found = text[start:end]
            letters = sum(c.isalpha() for c in found)
            if letters and sum(c.isdigit() for c in found) and not NO_MAC.match(found):
                yield PrivateSpan(start, end, "mac", "MAC")
