"""The registry of answers: each computes the rows of one section of docs/queries.md, by its heading.

An answer mirrors what its section says, not how its query computes it. Rows are in the order of the query.
"""

from collections.abc import Callable
from typing import Any

from tests.sinks.queries.exact import Data

Answer = list[tuple[Any, ...]]
Function = Callable[[Data, int], Answer]  # of the events, and of the time that is now, µs
ANSWERS: dict[str, Function] = {}


def answers(heading: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        ANSWERS[heading] = function
        return function

    return register
