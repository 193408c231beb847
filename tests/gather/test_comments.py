"""What readers wrote below a page, on pages made for it."""

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree

from libertas.gather.comments import comment_blocks
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.page import parsed

FIRST, SECOND = "I have walked there myself, and the lake is well worth it.", "Thank you for this, it helped a lot."


def comments_of(source: str, *content: str) -> list[str]:
    """The blocks that are comments, where the named ones are the main content."""
    blocks = parsed(HTMLTree.parse(source)).blocks
    kept = np.array([text in content for text in blocks.text], np.bool_)
    found = comment_blocks(blocks, kept)
    return [text for text, here in zip(blocks.text, found, strict=True) if here]


@pytest.mark.parametrize(
    "names",
    ['id="comments"', 'class="comment-list"', 'class="post-comments open"', 'class="commentList"', 'id="disqus_thread"',
        'class="kommentare"', 'class="Comentarios"', 'id="replies"'],
)  # fmt: skip
def test_a_container_named_after_comments_holds_comments(names: str) -> None:
    page = f"<article><p>Text.</p></article><div {names}><div><p>{FIRST}</p></div><p>{SECOND}</p></div>"
    assert comments_of(page, "Text.") == [FIRST, SECOND]


@pytest.mark.parametrize(
    "names", ["", 'class="commerce"', 'class="community"', 'class="recommended"', 'title="comment"']
)
def test_a_container_of_another_name_holds_none(names: str) -> None:
    assert comments_of(f"<p>Text.</p><div {names}><p>{FIRST}</p></div>", "Text.") == []


def test_a_block_that_is_named_itself_is_a_comment() -> None:
    assert comments_of(f'<p>Text.</p><p class="comment">{FIRST}</p><p>{SECOND}</p>', "Text.") == [FIRST]


def test_an_article_named_after_its_comments_is_none() -> None:
    page = f'<div class="comments-open"><p>Text.</p><p>{FIRST}</p><ol class="comment"><li>{SECOND}</ol></div>'
    assert comments_of(page, "Text.") == [SECOND]


def test_the_form_for_a_new_comment_is_none() -> None:
    form = "<p>Your address will not be published, and you must be polite.</p>"
    page = f'<div id="comments"><p>{FIRST}</p><div id="respond">{form}<div class="comment">{form}</div></div></div>'
    assert comments_of(page) == [FIRST]
    notes = '<form id="commentform"><p class="comment-notes">Your address will not be published, of course.</p></form>'
    assert (
        comments_of(f'<div id="respond">{notes}</div><p class="comment-form-comment">Say what you think of it.</p>')
        == []
    )


def test_a_form_around_the_whole_page_hides_no_comment() -> None:
    page = f'<form id="form1"><p>Text.</p><div class="comment"><p>{FIRST}</p></div></form>'
    assert comments_of(page, "Text.") == [FIRST]


def test_headings_names_dates_buttons_and_links_among_comments_are_none() -> None:
    page = (
        '<div id="comments"><h3>There are two comments on this article.</h3><p>Ann Bee</p><p>3 May 2020</p>'
        f"<p>{FIRST}</p>"
        '<p><a href="/u">All that this reader has ever written here</a></p><p>Yes!</p><p>真的吗？</p></div>'
    )
    assert comments_of(page) == [FIRST, "Yes!", "真的吗？"]


def test_comments_can_be_nested_without_bound() -> None:
    page = '<div id="comments">' + "<div>" * 400 + f"<p>{FIRST}</p>"
    assert comments_of(page) == [FIRST]


PROSE = "The path leads along the lake, over two bridges, and up to the old mill, which has stood there since 1740. "
PAGE = (
    "<html><head><title>The mill</title></head><body><nav><a href='/'>Home</a></nav>"
    f"<article><h1>The mill</h1><p>{PROSE * 3}</p><p>{PROSE * 2}</p></article>"
    f'<section id="comments" class="comments"><h2>2 comments</h2><ol class="comment-list"><li class="comment">'
    f'<div class="comment-author">Ann</div><p>{FIRST}</p><a class="reply" href="#">Reply</a></li>'
    f'<li class="comment"><div class="comment-author">Bob</div><p>{SECOND}</p></li></ol>'
    '<form id="respond"><p>Leave a comment below, if you like to.</p><textarea></textarea></form></section>'
    "<footer>All rights reserved.</footer></body></html>"
)


@pytest.mark.parametrize("markdown", [False, True])
def test_a_page_is_read_with_its_comments_where_they_are_wanted_and_without_them_elsewhere(markdown: bool) -> None:
    texts = {}
    for comments in (False, True):
        found = extract(PAGE.encode(), "text/html", None, ReadMode(markdown=markdown, comments=comments))
        assert isinstance(found, Extracted)
        texts[comments] = found.text
    assert PROSE.strip() in texts[False]
    assert not any(comment in texts[False] for comment in (FIRST, SECOND, "Ann", "Reply"))
    assert texts[True].startswith(texts[False])
    more = texts[True].removeprefix(texts[False])
    assert [line.lstrip("1234567890.- ") for line in more.split("\n") if line] == [FIRST, SECOND]
