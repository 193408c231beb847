"""Serves Python's documentation on 127.0.0.1, the same bytes in every run; a program of its own, run by `embedded.py`.

It runs in a bare interpreter (no site-packages, hardly any environment), so it imports nothing but the standard
library. It prints its port and ends when its standard input does, that is when its parent is gone.
"""

import html
import os
import platform
import pydoc
import re
import sys
import sysconfig
import threading
from pathlib import Path

ADDRESS = re.compile(r"(?: |&nbsp;)(?:at(?: |&nbsp;)0x|handle )[0-9a-f]{6,16}\b", re.IGNORECASE)
"""Where an object lies in memory: `<object object at 0x7f…>`, `handle 7f…`."""
NAVIGATION = re.compile(r"(?s)<div style='float:left'>.*?</form>\s*</div>\s*</div>")
"""Version of Python and compiler, search forms: the same on every page, and no documentation."""
FILE_LINK = re.compile(r'<a href="file:[^"]*">([^<]*)</a>')
SYSTEM = html.escape(platform.platform(terse=True))
PLACES = sorted(
    {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        str(Path(sys.executable).parent),
    },
    key=lambda place: (-len(place), place),
)


def masked(text: str) -> str:
    """A page without what differs between runs and machines: addresses, folders, kernel."""
    text = ADDRESS.sub("", FILE_LINK.sub(r"\1", NAVIGATION.sub("", text))).replace(SYSTEM, "")
    for place in PLACES:
        text = text.replace(place, "/python")
    return text


def page(url: str, content_type: str) -> str:
    """One page, made in a fork: it sees no module that an earlier page imported, so their order does not matter."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in 0, 1, 2:
                os.dup2(nothing, descriptor)
            with open(writer, "w", encoding="utf-8", errors="replace") as out:  # noqa: PTH123 - a descriptor
                out.write(masked(pydoc._url_handler(url, content_type)))  # type: ignore[attr-defined]
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as made:  # noqa: PTH123 - a descriptor
        text = made.read()
    os.waitpid(child, 0)
    return text


def end_with_parent() -> None:
    """Leave as soon as nobody holds the other end of standard input."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    server = pydoc._start_server(page, "127.0.0.1", 0)  # type: ignore[attr-defined]
    print(server.port if server.serving else 0, flush=True)
    server.join()
