"""The ready-made questions of docs/queries.md, each with its query."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

INSTALLED = Path(__file__).with_name("queries.md")  # where the wheel has the page
_CHECKOUT = Path(__file__).parents[2] / "docs" / "queries.md"
_SECTION = re.compile(r"^## \d+\. (?P<title>.+?)\n(?P<question>.*?)^```sql\n(?P<query>.*?)^```", re.M | re.S)


class Question(NamedTuple):
    """One section of the page: what is asked, and the query that answers it."""

    title: str
    question: str
    query: str


@cache
def questions() -> tuple[Question, ...]:
    """Return the questions in the order of the page."""
    page = _CHECKOUT if _CHECKOUT.exists() else INSTALLED
    return tuple(
        Question(found["title"], " ".join(found["question"].split()), found["query"])
        for found in _SECTION.finditer(page.read_text("utf-8"))
    )
