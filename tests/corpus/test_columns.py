"""Tables of Python values are the ones that pyarrow makes of them, and pandas stays where it is."""

import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.corpus.columns import column_of, table_of_rows

SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "name": st.none() | st.text(max_size=5),
        "value": st.none() | st.floats(allow_subnormal=False) | st.integers(-(2**53), 2**53) | st.booleans(),
    },
)


@given(st.lists(ROWS, max_size=20))
def test_rows_become_the_table_that_pyarrow_makes_of_them(rows: list[dict[str, object]]) -> None:
    made = table_of_rows(rows, SCHEMA)
    made.validate(full=True)
    floats = [{**row, "value": None if (v := row.get("value")) is None else float(v)} for row in rows]  # type: ignore[arg-type]
    expected = pa.Table.from_pylist(floats, SCHEMA)
    assert made.schema == expected.schema
    assert str(made.to_pylist()) == str(expected.to_pylist())  # as text, for NaN equals nothing


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError):
        column_of([1.5], pa.int64())
    with pytest.raises((TypeError, OverflowError)):
        column_of([2**64], pa.int64())


def test_a_table_is_made_and_read_without_pandas() -> None:
    code = (
        "import sys, pyarrow as pa; from libertas.corpus.columns import table_of_rows;"
        "schema = pa.schema([('a', pa.string()), ('b', pa.float64())]);"
        "table = table_of_rows([{'a': 'x', 'b': 1.0}, {'a': None}], schema);"
        "assert table['b'].to_pylist() == [1.0, None]; print('pandas' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
