"""The page of docs/studies/published, from the laws.json of each public set: every number of it is read there."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from esmtools.commands import run_command
from esmtools.results import Json, human_count, markdown_table, read_json

SETS = {
    "cheng_mlm_isoflop": ("Cheng et al. 2024, protein MLM, IsoFLOP", "cheng_mlm_isoflop.csv"),
    "cheng_mlm_finals": ("Cheng et al. 2024, protein MLM, all final points", "cheng_mlm_finals.csv"),
    "chinchilla_245": ("Hoffmann et al. 2022, text, read off the figure", "chinchilla_245.csv --drop-highest 5"),
    "nanoprot_esm2": ("nanoprot, ESM-2 shapes, protein MLM", "nanoprot_esm2.csv"),
}
APPROACHES = {"approach1": "approach 1", "approach2": "approach 2", "kaplan.L_ND": "L(N,D)", "approach3": "approach 3"}
PAPER, OTHERS = "Serrano et al. 2024", "Cheng et al. 2024"
UP = "../" * 2  # from the page to docs/


@dataclass
class Exponent:
    value: float
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f})"

    def holds(self, value: float) -> bool:
        return self.interval is not None and self.interval[0] <= value <= self.interval[1]


@dataclass
class Fit:
    name: str
    laws: Json

    @property
    def title(self) -> str:
        return SETS[self.name][0]

    def exponent(self, approach: str, name: str) -> Exponent | None:
        """a or b; of L(N,D), which has no intervals of its own there, a from the table of leverage."""
        part = self.laws.get(approach)
        if part and part.get(name) is not None:
            interval = part["intervals"].get(name)
            return Exponent(part[name], (interval[0], interval[1]) if interval else None)
        row = (self.laws["leverage"] or {}).get(approach)
        return Exponent(row["a"], None) if row and name == "a" and row["a"] is not None else None

    def verdict(self, approach: str) -> Json:
        verdict: Json = self.laws["planning"]["approaches"][approach]
        return verdict

    def supported(self) -> list[str]:
        return [approach for approach in APPROACHES if self.verdict(approach)["supported"]]

    def best_size(self, approach: str) -> str:
        row = (self.laws["leverage"] or {}).get(approach)
        return human_count(row["parameters"]) if row and row["parameters"] else "–"

    def highest_flops(self) -> float:
        return max(float(run["flops"]) for run in self.laws["runs"])

    def published(self, name: str) -> list[Json]:
        return [row for row in self.laws["published"] if row["name"].startswith(name)]


def exponents_table(fits: list[Fit]) -> str:
    rows = []
    for fit in fits:
        for approach, title in APPROACHES.items():
            a, b = fit.exponent(approach, "a"), fit.exponent(approach, "b")
            taken = fit.laws["planning"]["approach"] == approach
            supported = "planned from" if taken else "yes" if fit.verdict(approach)["supported"] else "no"
            rows.append([fit.title, title, str(a or "–"), str(b or "–"), fit.best_size(approach), supported])
    return markdown_table(
        ["points", "approach", "a: N_opt ∝ C^a", "b: D_opt ∝ C^b", "N_opt at the highest C", "supported"], rows
    )


def reasons(fits: list[Fit]) -> str:
    lines = []
    for fit in fits:
        lines += [
            f"- {fit.title}, {title}: {fit.verdict(approach)['why']}"
            for approach, title in APPROACHES.items()
            if not fit.verdict(approach)["supported"]
        ]
    return "\n".join(lines)


def fit_table(fits: list[Fit]) -> str:
    rows = []
    for fit in fits:
        for key, title in (("approach2", "approach 2"), ("approach3", "approach 3")):
            row = (fit.laws.get(key) or {}).get("lack_of_fit")
            if row:
                rows.append(fit_row(fit, title, row))
        joint = fit.laws["kaplan"]["L_ND"] or {}
        for form, title in (("pure", "L(N,D)"), ("irreducible", "L(N,D) with a floor")):
            if joint.get(form):
                rows.append(fit_row(fit, title, joint[form]["lack_of_fit"]))
    return markdown_table(["points", "law", "residual, nats", "times the noise", "held-out error, nats"], rows)


def fit_row(fit: Fit, title: str, row: Json) -> list[str]:
    shown = ["–" if row[key] is None else f"{row[key]:.4f}" for key in ("rms", "held_out_error")]
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
    return [fit.title, title, shown[0], ratio, shown[1]]


def joined(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def with_values(fit: Fit, approaches: list[str], name: str) -> str:
    return joined([f"{APPROACHES[one]} {fit.exponent(one, name)}" for one in approaches])


def answer_of(fit: Fit) -> str:
    """What one set says of the paper's exponent and of the published ones for proteins."""
    paper = fit.published(PAPER)[0]
    others = [row["a"] for row in fit.published(OTHERS)]
    supported = [one for one in fit.supported() if fit.exponent(one, "a")]
    if not supported:
        return f"**{fit.title}.** No approach is supported, so these points give no exponent. The reasons are below."
    lines = [f"**{fit.title}.** The supported approaches give a: {with_values(fit, supported, 'a')}."]
    outside = [one for one in supported if not fit.exponent(one, "a").holds(paper["a"])]  # type: ignore[union-attr]
    word = "outside every interval" if len(outside) == len(supported) else "inside the interval of at least one"
    lines.append(f"The paper's {paper['a']} lies {word}.")
    inside = [f"{a}" for a in others if any(fit.exponent(one, "a").holds(a) for one in supported)]  # type: ignore[union-attr]
    lines.append(
        f"Of {OTHERS}'s {joined([str(a) for a in others])} at least one interval holds {joined(inside)}."
        if inside
        else f"No interval holds {OTHERS}'s {joined([str(a) for a in others])}."
    )
    swapped = [one for one in supported if fit.exponent(one, "b") and fit.exponent(one, "b").holds(paper["a"])]  # type: ignore[union-attr]
    if swapped and len(outside) == len(supported):
        lines.append(
            f"The exponent of D does hold {paper['a']}: {with_values(fit, swapped, 'b')}. So the paper's pair "
            f"(N {paper['a']}, D {paper['b']}) agrees with these points only with N and D exchanged."
        )
    refuted = [one for one in APPROACHES if one not in supported and fit.exponent(one, "a")]
    if near := [one for one in refuted if fit.exponent(one, "a").holds(paper["a"])]:  # type: ignore[union-attr]
        lines.append(
            f"Only {with_values(fit, near, 'a')} holds the paper's exponent, and the points do not support it."
        )
    return " ".join(lines)


def count_sentence(fit: Fit) -> str:
    """How far a goes by the form of the law, and by the count of C that approach 2 is given."""
    by_form = [a.value for one in APPROACHES if (a := fit.exponent(one, "a"))]
    if len(by_form) < 2:
        return f"- {fit.title}: fewer than two approaches have an exponent."
    form = f"by the form of the law a goes from {min(by_form):.3f} to {max(by_form):.3f}"
    rows = [row for row in fit.laws["sensitivity"] if row["approach"] == "approach2" and row["a"] is not None]
    by_count = joined([f"{row['a']:.3f} ({row['flop_count']})" for row in rows])
    return f"- {fit.title}: {form}; by the count of C, in approach 2, it is {by_count}."


def leverage_sentence(fit: Fit) -> str:
    approach = fit.laws["planning"]["approach"]
    if approach is None:
        return f"- {fit.title}: nothing is planned from."
    row = fit.laws["leverage"][approach]
    moved = [one for one in row["without_budget"] + row["without_run"] if one["a"] is not None]
    most = max(moved, key=lambda one: abs(one["a"] - row["a"]))
    what = f"budget {most['budget']}" if "budget" in most else most["run"]
    without = f"without {what}, which matters most, {most['a']:.3f}"
    return f"- {fit.title}, {APPROACHES[approach]}: a = {row['a']:.3f}; {without}."


def page_of(fits: list[Fit]) -> str:
    draws = fits[0].laws["bootstrap"]["draws"]
    paper = fits[0].published(PAPER)[0]
    commands = "\n".join(f"esmscale fit --points {SETS[fit.name][1]} --bootstrap {draws} --output laws" for fit in fits)
    figures = "\n".join(f"![N_opt against C, {fit.title}]({fit.name}/n_opt.svg)\n" for fit in fits if fit.supported())
    disagreements = "\n".join(
        f"- {fit.title}: {warning}"
        for fit in fits
        for warning in fit.laws["warnings"]
        if warning.startswith("the approaches disagree")
    )
    return f"""# Published points, fitted by this program

`scripts/published.sh POINTS` wrote this page on {datetime.date.today()} by esmscale {fits[0].laws["version"]}.
Every number in it is read from these fits:

```sh
{commands}
```

N_opt ∝ C^a and D_opt ∝ C^b; brackets hold 95%. [laws.md]({UP}laws.md) has the rule by which an approach counts as
supported.

{exponents_table(fits)}

## The paper's question

{PAPER} report N_opt ∝ C^{paper["a"]} and D_opt ∝ C^{paper["b"]} for protein MLM.

{chr(10).join(answer_of(fit) + chr(10) for fit in fits)}
## Where they contradict each other

{disagreements}

Not supported, and why:

{reasons(fits)}

## By which convention

The same points by each form of the law, supported or not, and by each count of C that their file knows:

{chr(10).join(count_sentence(fit) for fit in fits)}

No file has the shapes of the models, so these points do not show how the terms of the head, the embedding and the
attention tilt a.

One budget or run less:

{chr(10).join(leverage_sentence(fit) for fit in fits)}

## How well the laws fit

{fit_table(fits)}

Each folder next to this page has `constants.csv`, `comparison.csv` and figures. `tar -xf reports.tar.gz` unpacks the
report of each fit.

{figures}"""


def published(laws: Path, output: Path) -> None:
    """Write the page OUTPUT from LAWS/SET/laws.json of every public set."""
    fits = [Fit(name, read_json(laws / name / "laws.json")) for name in SETS]
    output.write_text(page_of(fits).rstrip("\n") + "\n")


if __name__ == "__main__":
    run_command(published)
