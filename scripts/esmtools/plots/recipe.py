"""What a recipe gains at each size: the pictures of docs/studies/recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmtools.plots import figure
from esmtools.results import Json


def millions(axes: Any, ticks: Sequence[float]) -> None:
    """A logarithmic axis with these ticks and no others."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def draw(svg: Path, sizes: list[Json]) -> None:
    """On the left the baseline's losses by tokens, and ours at its own; on the right the gain against parameters."""
    pyplot = figure.pyplot(svg)
    if pyplot is None or not sizes:
        return
    drawn, (curves, gains) = pyplot.subplots(1, 2, figsize=(9.6, 3.6))
    for size, colour in zip(sizes, (figure.BLUE, figure.ORANGE, figure.GREEN), strict=False):
        multiples = sorted(int(multiple) for multiple in size["curve"])
        tokens = [size["tokens"] * multiple / 1e6 for multiple in multiples]
        by_multiple = {int(multiple): loss for multiple, loss in size["curve"].items()}
        losses = [by_multiple[multiple] for multiple in multiples]
        curves.plot(tokens, losses, "o-", color=colour, label=f"{size['size']}, baseline")
        ours = sum(size["ours"]["losses"]) / len(size["ours"]["losses"])
        curves.plot([tokens[0]], [ours], "*", markersize=12, color=colour, label=f"{size['size']}, ours")
    millions(curves, [0.25, 0.5, 1, 2, 4, 8])
    curves.set_xlabel("tokens, millions")
    curves.set_ylabel("holdout loss, nats")
    curves.legend(frameon=False, fontsize=8)
    parameters = [size["parameters"] / 1e6 for size in sizes]
    values = [-1000 * size["difference"]["value"] for size in sizes]
    errors = [1000 * 1.96 * size["difference"]["error"] for size in sizes]
    gains.errorbar(parameters, values, yerr=errors, fmt="o", capsize=4, color=figure.BLUE)
    for size, x, y in zip(sizes, parameters, values, strict=True):
        gains.annotate(f"  D/N {size['tokens'] / size['parameters']:.2g}", (x, y), fontsize=8)
    millions(gains, [round(n, 2) for n in parameters])
    gains.set_xlim(parameters[0] / 1.5, parameters[-1] * 2)
    gains.set_ylim(bottom=0)
    gains.set_xlabel("parameters N, millions")
    gains.set_ylabel("gain, thousandths of a nat (95%)")
    for axes in (curves, gains):
        axes.grid(color="#ddd")
        axes.set_axisbelow(True)
    drawn.tight_layout()
    figure.save(drawn, svg)
