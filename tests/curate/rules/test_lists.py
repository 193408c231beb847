"""Domains match on the borders of labels, in any spelling; addresses match without what does not matter."""

from pathlib import Path

import pytest

from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.lists import ascii_host, host_of, on_list, read_domains, read_urls, url_key
from libertas.curate.rules.rule import Wanted
from libertas.curate.rules.table import RULES
from libertas.document import Document
from libertas.errors import UsageError


def value(rule: str, url: str | None, **lists: Path) -> float | None:
    meta = {} if url is None else {"url": url}
    return RULES[rule].function(Analysis(Document("0" * 32, "", meta), Wanted(**lists)))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "domains.txt"
    lines = [
        "# bad ones",
        "example.org",
        "*.wild.net  # and all below",
        "HTTPS://Whole.com/page",
        "müller.de",
        "",
        "co.uk",
    ]
    path.write_text("\n".join([*lines, *(f"site{n}.test" for n in range(5000))]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://example.org/a", 1),
        ("https://a.b.example.org:8080/a", 1),
        ("https://EXAMPLE.org./", 1),
        ("https://badexample.org/", 0),
        ("https://example.org.evil.com/", 0),
        ("https://x.wild.net/", 1),
        ("https://whole.com/", 1),
        ("https://www.xn--mller-kva.de/", 1),
        ("https://www.MÜLLER.de/", 1),
        ("https://shop.co.uk/", 1),
        ("https://site4999.test/", 1),
        ("https://user:example.org@other.org/", 0),
        ("http://[::1", 0),
        ("urn:file:example.org", 0),
        (None, 0),
    ],
)
def test_a_domain_is_on_a_list_with_all_below_it(url: str | None, found: int, listed: Path) -> None:
    assert value("blocked_domain", url, block_domains=listed) == found
    assert value("allowed_domain", url, allow_domains=listed) == found


def test_a_document_without_an_address_is_neither_blocked_nor_allowed(listed: Path) -> None:
    assert RULES["blocked_domain"].reason(0.0) is None
    assert RULES["allowed_domain"].reason(0.0) == "domain is not an allowed one"


def test_an_address_is_on_a_list_whatever_its_scheme_port_and_fragment(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("http://example.org:80\nexample.org/a?b=c#d\n")
    for url, found in (
        ("https://example.org/", 1),
        ("https://Example.org/a?b=c", 1),
        ("https://example.org/A?b=c", 0),
        ("https://example.org:8080/", 0),
        ("https://example.org/a", 0),
    ):
        assert value("blocked_url", url, block_urls=path) == found
    assert url_key("http://[::1") == "http://[::1"


def test_hosts_that_are_no_names_are_compared_as_they_are() -> None:
    assert ascii_host("Ex_Ample.Org.") == "ex_ample.org"
    assert ascii_host("☃" * 400) == "☃" * 400
    assert ascii_host("-ü-.de") == "-ü-.de"
    assert host_of("https:///path") is None
    assert not on_list("a." * 10**6, frozenset({"b"}))


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_domains(path)
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    with pytest.raises(UsageError, match="lists nothing; expected one domain"):
        read_urls(empty)
