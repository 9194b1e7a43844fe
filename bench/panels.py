"""The small panels of the report: latency by rate, cost by number of instruments, memory, start."""

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from bench.harness import Result

OURS, RIVAL, FLOOR = "#1b5e9b", "#d9822b", "#a9b4c0"
_SHADES = ("#8db8de", "#3f86c4", "#0f3f6e")  # ours, by percentile
_GREYS = ("#cfd6dd", "#9aa5b1", "#5d6873")  # the other, by percentile
_FLAT = 0.2  # a cost that changes by less counts as flat
_NUMBER = re.compile(r"[\d,]+")


def numbers_in(text: str) -> list[int]:
    """Return the numbers in a text: `1,000 books` → `[1000]`."""
    return [int(found.replace(",", "")) for found in _NUMBER.findall(text) if found[0].isdigit()]


def latency(axes: Axes, results: Sequence[Result]) -> None:
    """Draw a line for every percentile of ours and the other."""
    axes.set_title("Latency, ms")
    by_percentile: dict[str, list[Result]] = {}
    rates = sorted({numbers_in(result.name)[0] for result in results})
    for result in results:
        by_percentile.setdefault("p" + result.name.rpartition("p")[2], []).append(result)
    for index, (percentile, found) in enumerate(by_percentile.items()):
        ours, other = [result.ours for result in found], [result.other for result in found]
        axes.plot(rates, ours, "o-", color=_SHADES[index], label=f"MarketPrism {percentile}")
        axes.plot(rates, other, "s--", color=_GREYS[index], label=f"{found[0].other_name} {percentile}", markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="frames per second", xticks=rates)
    axes.set_ylim(top=5 * axes.get_ylim()[1])  # space for the legend
    axes.grid(axis="y", color="#eceff2")
    _plain_ticks(axes)
    axes.legend(fontsize=7, frameon=False, loc="upper left", ncols=2)


def scaling(axes: Axes, results: Sequence[Result]) -> None:
    """Draw the cost by number of instruments, with the range that counts as flat."""
    axes.set_title("A worker's CPU per frame, µs")
    few = numbers_in(results[0].other_name)[0]
    counts = [few, *(numbers_in(result.name)[0] for result in results)]
    costs = [results[0].other, *(result.ours for result in results)]
    axes.axhspan(costs[0] * (1 - _FLAT), costs[0] * (1 + _FLAT), color="#e4eef7", label=f"flat within {_FLAT:.0%}")
    axes.plot(counts, costs, "o-", color=OURS)
    for count, cost in zip(counts, costs, strict=True):
        axes.annotate(f"{cost:.0f}", (count, cost), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    axes.set(xscale="log", xlabel="instruments", xticks=counts, ylim=(0, max(costs) * 1.2))
    _plain_ticks(axes, y=False)
    axes.legend(fontsize=7, frameon=False, loc="lower right")


def workers(axes: Axes, results: Sequence[Result]) -> None:
    """Write how much faster several workers are than one."""
    text = "\n".join(f"{result.name}: {result.ratio:.2f}× the frames/s of {result.other_name}" for result in results)
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8)


def memory(axes: Axes, results: Sequence[Result]) -> None:
    """Draw the memory of each process beside its floor."""
    axes.set_title("Resident memory, MB")
    _beside_floor(axes, results, [result.name.partition(": ")[2] for result in results], "floor")


def start(axes: Axes, results: Sequence[Result]) -> None:
    """Draw the times of start and recovery beside those without books."""
    axes.set_title("Start and recovery of a worker, s")
    names = [result.name.replace(" of a worker", "").replace(" of a killed worker", "") for result in results]
    _beside_floor(axes, results, names, results[0].other_name)


def _beside_floor(axes: Axes, results: Sequence[Result], names: Sequence[str], other: str) -> None:
    """Draw two bars for every result, ours and the other."""
    rows = range(len(results))
    ours, others = [result.ours for result in results], [result.other for result in results]
    bars = axes.barh([row - 0.2 for row in rows], ours, 0.38, color=OURS, label="MarketPrism")
    axes.barh([row + 0.2 for row in rows], others, 0.38, color=FLOOR, label=other)
    axes.bar_label(bars, fmt=lambda value: f"{value:,.3g}", padding=3, fontsize=8)
    axes.set_yticks(rows, names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.legend(fontsize=7, frameon=False)


def _plain_ticks(axes: Axes, y: bool = True) -> None:
    """Label ticks as 1,000 instead of 10³."""
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    for axis in (axes.xaxis, axes.yaxis) if y else (axes.xaxis,):
        axis.set_major_formatter(plain)
    axes.xaxis.set_minor_locator(NullLocator())
