"""Draw bench/out/report.png, an overview of all results."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench import panels
from bench.harness import Result
from bench.panels import FLOOR, OURS, RIVAL

_ROW = 0.27  # inches


def draw(results: Sequence[Result], head: str, path: Path) -> None:
    """Draw rates on the left and all other results on the right."""
    rates = [result for result in results if result.unit.endswith("/s")]
    rates.sort(key=lambda result: not result.is_rival)  # rivals first, otherwise in the order of measurement
    figure = Figure(figsize=(19, max(9.0, 1.8 + _ROW * len(rates))), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"MarketPrism benchmarks\n{head}", fontsize=12)
    [[left, right]] = figure.subfigures(1, 2, squeeze=False, width_ratios=(10, 9))
    _rates(left.subplots(), rates)
    _small(right.subplots(2, 2), results)
    figure.savefig(path, dpi=110)


def _small(axes: Sequence[Sequence[Axes]], results: Sequence[Result]) -> None:
    """Draw one panel per unit."""
    draws = {"ms": panels.latency, "µs": panels.scaling, "MB": panels.memory, "s": panels.start}
    places = [each for row in axes for each in row]
    for place, (unit, draw_panel) in zip(places, draws.items(), strict=True):
        place.spines[["top", "right"]].set_visible(False)
        draw_panel(place, [result for result in results if result.unit == unit])
    panels.workers(places[1], [result for result in results if result.unit.endswith("of the clock")])


def _rates(axes: Axes, results: Sequence[Result]) -> None:
    """Draw bars from 1 to the ratio, with the spread of the pairs."""
    axes.set_title("Rates: MarketPrism divided by the other (more is better)")
    for row, result in enumerate(results):
        low, high = result.spread
        axes.barh(row, result.ratio - 1, left=1, color=RIVAL if result.is_rival else FLOOR, height=0.7)
        axes.errorbar(result.ratio, row, xerr=[[result.ratio - low], [high - result.ratio]], color="#333", capsize=2.5)
        outside = high * 1.08 if result.ratio >= 1 else low / 1.08
        side = "left" if result.ratio >= 1 else "right"
        axes.text(outside, row, f"{result.ratio:.2g}×", va="center", ha=side, fontsize=8)
    axes.set_yticks(range(len(results)), [_title(result) for result in results], fontsize=8)
    axes.set(ylim=(len(results) - 0.4, -0.6), xscale="log")
    axes.margins(x=0.12)
    axes.axvline(1, color=OURS, linewidth=1.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right", "left"]].set_visible(False)
    kinds = {RIVAL: "compared with a rival, which does the same", FLOOR: "compared with a floor, which does less"}
    handles = [Patch(color=color, label=text) for color, text in kinds.items()]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left")


def _title(result: Result) -> str:
    return f"{result.name} / {result.other_name}"
