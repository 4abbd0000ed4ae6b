"""What torch's exporters and common tools write is prepared, or refused, as the table in docs/models.md says."""

from pathlib import Path

import pytest

from tests.exporters.table import export, outcomes_of, table_of, written

pytestmark = pytest.mark.network


def test_the_table_says_what_becomes_of_each_file(tmp_path: Path) -> None:
    table = table_of(outcomes_of(export(tmp_path), tmp_path / "work"))
    assert table == written(), "run python -m tests.exporters.table, and read what differs"
