"""The rows of the page "Verification" as tests."""

import pytest

from verification import all_rows


def parameters():
    for row in all_rows():
        marks = [pytest.mark.slow] if row.slow else []
        yield pytest.param(row, id=f"{row.section}: {row.quantity}".replace(" ", "_"), marks=marks)


@pytest.mark.parametrize("row", list(parameters()))
@pytest.mark.filterwarnings("ignore")
def test_row(row):
    for name in row.needs:
        pytest.importorskip(name)
    found = row.run()
    assert found.passed, f"{row.quantity}: {found.ours:.10g} where {row.against} has {found.theirs:.10g}"
