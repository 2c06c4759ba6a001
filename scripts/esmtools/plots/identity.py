"""How near the sequences of both holdouts are to the training set: a picture of holdout.sh's report.json."""

from pathlib import Path

from esmtools.commands import run_command
from esmtools.plots import figure
from esmtools.results import Json, read_json

SERIES = {"holdout": ("checked holdout", figure.BLUE), "holdout_random": ("random holdout", figure.ORANGE)}
NONE = -2.5  # where the sequences without a hit are drawn; the histogram begins at 0


def shares(report: Json) -> list[float]:
    """Of the sequences without a hit, then of each bin of the histogram."""
    counts = [report["without_neighbour"]] + [count for _, count in report["histogram"]]
    return [count / report["sequences"] for count in counts]


def identity(report: Path, svg: Path) -> None:
    """Draw the largest identity of each sequence in REPORT, at the coverage of the report, to SVG."""
    pyplot = figure.pyplot(svg)
    if pyplot is None:
        return
    reports = read_json(report)
    limit, coverage = reports["holdout"]["identity_limit"], reports["holdout"]["coverage"]
    bins = len(reports["holdout"]["histogram"])
    drawn, axes = pyplot.subplots(figsize=(7.2, 3.3))
    for number, (key, (name, colour)) in enumerate(SERIES.items()):
        places = [i + 0.3 + 0.4 * number for i in (NONE, *range(bins))]
        label = f"{name}, {reports[key]['sequences']:,} sequences"
        axes.bar(places, [100 * share for share in shares(reports[key])], width=0.4, color=colour, label=label)
    axes.axvline(limit * bins, color="#333", linestyle="--", linewidth=1)
    axes.annotate(f" limit {limit:g}", (limit * bins, 0.7), xycoords=("data", "axes fraction"), va="top")
    axes.set_xticks(
        [NONE + 0.5, *(tenth / 10 * bins for tenth in range(0, 11, 2))],
        ["none", *["0", "0.2", "0.4", "0.6", "0.8", "1"]],
    )
    axes.set_xlabel(f"largest identity to the training set over at least {coverage:.0%} of either sequence")
    axes.set_ylabel("share of the holdout, %")
    axes.grid(axis="y", color="#ddd")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    figure.save(drawn, svg)


if __name__ == "__main__":
    run_command(identity)
