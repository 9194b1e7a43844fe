"""Compare the rendered DDL with the files in `golden/`. `python -m tests.sinks.test_golden_ddl` rewrites them."""

from pathlib import Path

import pytest

from schemas.events import EVENTS, Event
from sinks.tables import render

GOLDEN = Path(__file__).with_name("golden")
MODELS = {model.table_name: model for model in EVENTS.values()}


def ddl(model: type[Event]) -> str:
    """Return all statements of a model's table."""
    table = render(model, "marketprism")
    return "\n\n".join(f"{statement};" for statement in (table.create, table.create_entry, table.create_view)) + "\n"


@pytest.mark.parametrize("table", MODELS)
def test_ddl_is_as_reviewed(table: str) -> None:
    """A change of the rendered DDL shows as a change of its golden file."""
    assert (GOLDEN / f"{table}.sql").read_text("utf-8") == ddl(MODELS[table])


def test_every_golden_file_has_a_model() -> None:
    """Golden files of removed models are removed, too."""
    assert {file.stem for file in GOLDEN.iterdir()} == set(MODELS)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file in GOLDEN.iterdir():
        file.unlink()
    for name, event_model in MODELS.items():
        (GOLDEN / f"{name}.sql").write_text(ddl(event_model), "utf-8")
