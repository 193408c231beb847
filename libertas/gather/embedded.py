"""What every Python installation carries: its documentation over HTTP, its source code, its language reference."""

import fnmatch
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pydoc_data.topics import topics

from libertas.errors import UsageError
from libertas.gather import pydoc_server

DOCS_URL = "http://pydoc.localhost/"
"""What the records of a documentation crawl are called: the port is another one in each run, the address is not."""

SOURCE_EXCLUDE = (
    "test",
    "tests",
    "test_*",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "__pycache__",
    "pydoc_data",  # the language reference, which is a component of its own
    "_sysconfigdata*",  # how this machine's Python was built
)
"""Parts of the standard library that are left out of `python:source`: tests, tools, and what was installed later."""

DOCS_EXCLUDE = (
    "/_",  # private modules: little prose, and build settings of this machine
    "/antigravity",  # opens a browser
    "/idlelib",
    "/lib2to3",
    "/search",
    "/get?",
    "/test",
    "/sys.",  # paths and facts of this machine
    "/this.",  # prints when imported
    "/tkinter",  # needs a library of the system that is not everywhere
    "/topic",  # the language reference is a component of its own
    "/keyword",
    "/turtle",
)
"""Paths of the documentation server that a crawl leaves out."""

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # sets are printed in the same order in each run
    "BROWSER": "true",
    "HOME": "/nonexistent",
}
"""All that the documentation server knows of its surroundings: `os.environ` stands on one of its pages."""

SERVER = Path(pydoc_server.__file__)


@contextmanager
def documentation_server() -> Iterator[int]:
    """Python's documentation over HTTP on 127.0.0.1 while the block runs; gives the port.

    Raises:
        UsageError: the server does not start.
    """
    command = [sys.executable, "-S", "-s", "-P", "-W", "ignore", str(SERVER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT, cwd="/"
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline() or 0)
            if port == 0:
                raise UsageError("python:docs cannot be served: pydoc found no free port; crawl another url")
            yield port
        finally:
            server.stdin.close()
            server.kill()


def standard_library() -> Iterator[tuple[str, Path]]:
    """Source files of the standard library: name such as `json/decoder.py` and where it lies, sorted by name."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if not any(fnmatch.fnmatch(part, pattern) for part in name.parts for pattern in SOURCE_EXCLUDE):
            yield name.as_posix(), path


def language_reference() -> Iterator[tuple[str, str]]:
    """Topics of Python's language reference: name and text in reStructuredText, sorted by name."""
    yield from sorted(topics.items())
