"""Efficiency by number of GPUs: the picture of docs/scaling.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from esmtools.plots import figure


@dataclass
class Curve:
    label: str
    model: int  # curves of one model have one colour
    is_dashed: bool
    efficiencies: Sequence[float]  # 0 to 1, for each number of GPUs


def draw(svg: Path, gpus: Sequence[int], curves: Sequence[Curve], x_label: str, content: str) -> None:
    """`content`, an account of the numbers, is kept in the file."""
    pyplot = figure.pyplot(svg)
    if pyplot is None:
        return
    drawn, axes = pyplot.subplots(figsize=(7.2, 3.6))
    colours = (figure.BLUE, figure.ORANGE, figure.GREEN, figure.PURPLE)
    for curve in curves:
        style = "--" if curve.is_dashed else "-"
        percent = [100 * share for share in curve.efficiencies]
        axes.plot(gpus, percent, color=colours[curve.model], linestyle=style, linewidth=2, label=curve.label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(gpus, [str(count) for count in gpus])
    axes.set_ylim(0, 102)
    axes.set_xlabel(x_label)
    axes.set_ylabel("efficiency, %")
    axes.grid(axis="y", color="#ddd")
    axes.legend(frameon=False, loc="lower left", title="model, ZeRO stage")
    figure.save(drawn, svg, content)
