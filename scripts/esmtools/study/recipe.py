"""scripts/recipe_study.sh: makes the runs of recipe_runs.py, and sums up what is there of them."""

from pathlib import Path

from esmtools.commands import run_commands
from esmtools.plots import recipe as picture
from esmtools.results import Json, fail, human_count, markdown_table, write_json
from esmtools.study.recipe_runs import Maker, Size, losses_of, make_all, wanted
from esmtools.study.recipe_summary import Summary, summarise


def sizes_of(shapes: str, tokens: str) -> list[Size]:
    """From 3x64x4,4x128x8 (layers, width, heads) and the tokens of each, as in 2M,800K."""
    units = {"K": 1e3, "M": 1e6, "G": 1e9}
    names, counts = shapes.split(","), tokens.split(",")
    if len(names) != len(counts):
        fail(f"--tokens: expected {len(names)} numbers, one for each of --sizes, found {tokens}")
    sizes = []
    for name, count in zip(names, counts, strict=True):
        try:
            layers, width, heads = map(int, name.split("x"))
            sizes.append(Size(layers, width, heads, round(float(count.rstrip("KMG")) * units.get(count[-1], 1))))
        except ValueError:
            fail(f"--sizes and --tokens: expected LAYERSxWIDTHxHEADS and a number of tokens, found {name} and {count}")
    return sizes


def train(
    esmscale: Path,
    data: Path,
    holdout: Path,
    runs: Path,
    *,
    config: str,
    sizes: str,
    tokens: str,
    sequences: int,
    jobs: int,
    minutes: float,
) -> None:
    """Train and score all runs of the study that are not in RUNS yet."""
    maker = Maker(esmscale, config, data, holdout, sequences, runs)
    make_all(sizes_of(sizes, tokens), maker, jobs, minutes)


def sum_up(runs: Path, results: Path, *, sizes: str, tokens: str) -> None:
    """Write recipe.json, tables.md and pictures into RESULTS from the runs that are finished."""
    shapes = sizes_of(sizes, tokens)
    losses = losses_of(runs)
    missing = [run.name for run in wanted(shapes, losses) if run.name not in losses]
    summaries = [each for size in shapes if (each := summarise(size, runs, losses))]
    write_json(results / "recipe.json", dict(missing=missing, sizes=[summary.json() for summary in summaries]))
    text = "\n".join([gain_table(summaries), *map(rate_tables, summaries), *map(change_table, summaries)])
    (results / "tables.md").write_text(text)
    print(text)
    picture.draw(results / "gain.svg", [summary.json() for summary in summaries])
    if missing:
        print("not there yet: " + ", ".join(missing))


def nats(estimate: Json | None) -> str:
    return f"{estimate['value']:+.4f} ± {estimate['error']:.4f}".replace("-", "−") if estimate else ""


def interval(factor: Json | None) -> str:
    if not factor:
        return ""
    most = f"{factor['high']:.1f}" + ("+" if factor["is_beyond"] else "")
    return f"{factor['value']:.2f} ({factor['low']:.1f} to {most})"


def gain_table(summaries: list[Summary]) -> str:
    head = ["model", "N", "tokens", "D / N", "baseline", "ours", "difference, nats", "tokens ×", "compute ×"]
    rows = []
    for summary in summaries:
        s = summary.json()
        loss = [" ".join(f"{value:.4f}" for value in s[which]["losses"]) for which in ("baseline", "ours")]
        size = [s["size"], human_count(s["parameters"]), human_count(s["tokens"])]
        size.append(f"{s['tokens'] / s['parameters']:.2g}")
        rows.append([*size, *loss, nats(s["difference"]), interval(s["token_factor"]), interval(s["compute_factor"])])
    return markdown_table(head, rows) + "\n"


def rate_tables(summary: Summary) -> str:
    """Each rate of a sweep against the best one."""
    rows = [[row["recipe"], row["rate"], f"{row['loss']:.4f}", nats(row["difference"])] for row in summary.rates]
    return f"{summary.size}, rates\n\n" + markdown_table(["recipe", "rate", "loss", "against the best"], rows) + "\n"


def change_table(summary: Summary) -> str:
    if not summary.changes:
        return ""
    rows = [[row["change"], f"{row['loss']:.4f}", nats(row["difference"])] for row in summary.changes]
    return f"{summary.size}, one change at a time\n\n" + markdown_table(["ours in", "loss", "difference"], rows) + "\n"


if __name__ == "__main__":
    run_commands(__doc__, train, sum_up)
