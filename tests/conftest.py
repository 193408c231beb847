"""Fixtures that every room uses."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("libertas", deadline=None)  # no test of ours judges a time
settings.load_profile("libertas")
sys.path.insert(0, str(Path(__file__).parent))  # so that tests can `import making`


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data, which the repository does not carry; tests that need it skip without it."""
    folder = Path(os.environ.get("LIBERTAS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real test data is not at {folder}; set LIBERTAS_TEST_DATA to its folder")
    return folder


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their number: compressed ones hold the time, and all processes must collect the same tests."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
