"""Shapes: how they are written, and what differs from them."""

from typing import Any

import pytest

from marketprism.probe.shape import Findings, compare, parse_shape

SHAPE = "arg{channel instId} data[]{px side=buy|sell count?=1|2 bids[][4] more?[]{a}}"


def frame(**changes: Any) -> dict[str, Any]:
    row = {"px": "1", "side": "buy", "bids": [["1", "2", "0", "1"]]} | changes
    return {"arg": {"channel": "c", "instId": "i"}, "data": [row]}


def compared(value: Any, *shapes: str) -> Findings:
    return compare(tuple(map(parse_shape, shapes or (SHAPE,))), value)


@pytest.mark.parametrize(
    "changes", [{}, {"count": 1}, {"count": None}, {"bids": []}, {"more": [{"a": 1}]}, {"px": None}, {"px": 1.5}]
)
def test_what_is_expected(changes: dict[str, Any]) -> None:
    """Optional keys, nulls, empty lists, and what is not looked into."""
    assert not compared(frame(**changes))


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({"price": "1"}, Findings(unknown={"data[].price"})),
        ({"side": "hold"}, Findings(values={'data[].side "hold"'})),
        ({"count": 3}, Findings(values={'data[].count "3"'})),
        ({"bids": [["1", "2"]]}, Findings(unknown={"data[].bids[][] has 2 values instead of 4"})),
        ({"bids": {"1": "2"}}, Findings(unknown={"data[].bids is no list"})),
        ({"px": {"value": 1}}, Findings(unknown={"data[].px is an object"})),
        ({"px": [1]}, Findings(unknown={"data[].px is a list"})),
    ],
)
def test_what_differs(changes: dict[str, Any], findings: Findings) -> None:
    """Unknown keys and values, and values of other sorts, by their path."""
    assert compared(frame(**changes)) == findings


def test_missing_keys() -> None:
    """A renamed key is missing and unknown; each row is looked at."""
    value = frame()
    value["data"].append({"price": "1", "side": "buy", "bids": []})
    assert compared(value) == Findings(unknown={"data[].price"}, missing={"data[].px"})
    assert compared([1]) == Findings(unknown={"the frame is no object"})


def test_the_shape_that_fits_best() -> None:
    """Of several shapes, one must fit; otherwise the nearest one tells what differs."""
    shapes = "type=snapshot id", "type=change id previous"
    assert not compared({"type": "change", "id": 2, "previous": 1}, *shapes)
    assert compared({"type": "change", "id": 2}, *shapes) == Findings(values={'type "change"'})


def test_lists_without_a_name() -> None:
    """A frame may be a list itself."""
    assert not compared([{"a": 1}], "[]{a}")
    assert compared([{"b": 1}], "[]{a}") == Findings(unknown={"[].b"}, missing={"[].a"})
    assert compared([[1, 2]], "[][3]") == Findings(unknown={"[][] has 2 values instead of 3"})


def test_a_bound() -> None:
    """Keys that are data, such as names of instruments, do not fill the memory."""
    findings = Findings()
    for number in range(1000):
        findings.add(Findings(unknown={f"data[].{number}"}))
    assert len(findings) < 100


@pytest.mark.parametrize("text", ["a{b", "a}", "a a", "a{b}}", "a, b"])
def test_malformed_shapes(text: str) -> None:
    """What is no shape is rejected."""
    with pytest.raises(ValueError, match=r"shape|brace|twice"):
        parse_shape(text)
