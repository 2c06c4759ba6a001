"""identity_plot.py REPORT SVG: how near the sequences of both holdouts are to the training set, from the report.json of
scripts/uniref/holdout.sh. Bars are shares of a holdout by the largest identity of each sequence, at the report's coverage."""

import json
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 330, 52, 14, 46, 52
COLOURS = {"holdout": "#0072b2", "holdout_random": "#d55e00"}
NAMES = {"holdout": "checked holdout", "holdout_random": "random holdout"}


def shares(report):
    """Of the sequences without a hit, then of each bin of the histogram."""
    counts = [report["without_neighbour"]] + [count for _, count in report["histogram"]]
    return [count / report["sequences"] for count in counts]


def main():
    reports = json.loads(Path(sys.argv[1]).read_text())
    series = {name: shares(reports[name]) for name in NAMES}
    bins = len(series["holdout"])
    top = max(max(values) for values in series.values()) * 1.05
    step = (WIDTH - LEFT - RIGHT) / bins
    limit = reports["holdout"]["identity_limit"]

    def y(share):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    ticks = next(tick for tick in (0.02, 0.05, 0.1, 0.2) if top / tick <= 6 or tick == 0.2)
    for k in range(int(top / ticks) + 1):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(k * ticks):.1f}" y2="{y(k * ticks):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(k * ticks) + 4:.1f}" text-anchor="end">{100 * k * ticks:.0f}%</text>')
    for place, (name, values) in enumerate(series.items()):
        for i, share in enumerate(values):
            x = LEFT + step * (i + 0.1 + 0.4 * place)
            out.append(f'<rect x="{x:.1f}" y="{y(share):.1f}" width="{0.4 * step:.1f}" height="{y(0) - y(share):.1f}" '
                       f'fill="{COLOURS[name]}"/>')
        out.append(f'<rect x="{LEFT + 170 * place}" y="14" width="12" height="12" fill="{COLOURS[name]}"/>'
                   f'<text x="{LEFT + 170 * place + 18}" y="24">{NAMES[name]}, {reports[name]["sequences"]:,}</text>')
    edge = LEFT + step * (1 + limit * (bins - 1))
    out.append(f'<line x1="{edge:.1f}" x2="{edge:.1f}" y1="{TOP - 8}" y2="{y(0):.1f}" stroke="#333" stroke-dasharray="4 3"/>'
               f'<text x="{edge + 5:.1f}" y="{TOP}">limit {limit:g}</text>')
    out.append(f'<text x="{LEFT + step / 2:.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">none</text>')
    for tenth in range(0, 11, 2):
        out.append(f'<text x="{LEFT + step * (1 + tenth / 10 * (bins - 1)):.1f}" y="{y(0) + 16:.1f}" '
                   f'text-anchor="middle">{tenth / 10:g}</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">largest identity to the training set over at '
               f'least {reports["holdout"]["coverage"]:.0%} of either sequence</text></svg>')
    Path(sys.argv[2]).write_text("\n".join(out) + "\n")


main()
