"""Which candidates are far enough from the training set, and the report on them, for scripts/uniref/holdout.sh.

Sequences are numbered by their place in the data set. Candidates are taken from the last one backwards.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from esmtools.commands import run_commands
from esmtools.results import Json, markdown_table, read_json, write_json

SEARCH = "search -s 7.5 --max-seqs 1000 -e 1e-3 --alignment-mode 3"
BINS = 20  # of the histogram, in 0 to 1
HEAD = [
    "holdout",
    "sequences",
    "largest identity",
    "above the limit",
    "no hit at that coverage",
    "largest at any coverage",
]


class Hit(NamedTuple):
    query: int
    target: int
    identity: float
    coverage: float  # the larger of both sequences'


def rounds(work: Path, pattern: str, begin: int) -> list[Path]:
    """Files of the rounds so far: a name ends in the first candidate of its round. An interrupted search may have left
    files of later rounds."""
    return [path for path in sorted(work.glob(pattern)) if int(path.stem.rsplit("-", 1)[1]) >= begin]


def read_lengths(work: Path, begin: int) -> dict[int, int]:
    lengths: dict[int, int] = {}
    number = -1
    for fasta in rounds(work, "candidates-*.fasta", begin):
        with open(fasta) as lines:
            for line in lines:
                if line[0] == ">":
                    number = int(line[1:])
                    lengths[number] = 0
                else:
                    lengths[number] += len(line.rstrip())
    return lengths


def read_hits(work: Path, kind: str, begin: int) -> Iterator[Hit]:
    for hits in rounds(work, f"{kind}-*.hits", begin):
        with open(hits) as lines:
            for line in lines:
                query, target, identity, _, query_coverage, target_coverage, *_ = line.split("\t")
                coverage = max(float(query_coverage), float(target_coverage))
                yield Hit(int(query), int(target), float(identity), coverage)


def read_relatives(work: Path, begin: int, identity: float, coverage: float) -> dict[int, set[int]]:
    """The candidates that are neighbours of each candidate."""
    relatives: dict[int, set[int]] = {}
    for hit in read_hits(work, "self", begin):
        is_near = hit.identity > identity and hit.coverage >= coverage
        if hit.query != hit.target and hit.target >= begin and is_near:
            relatives.setdefault(hit.query, set()).add(hit.target)
            relatives.setdefault(hit.target, set()).add(hit.query)
    return relatives


def decide(work: Path, *, begin: int, size: int, identity: float, coverage: float, min_length: int, train: int) -> None:
    """Choose among the candidates from BEGIN on, and print how many of them are accepted."""
    lengths = read_lengths(work, begin)
    covered, anywhere = dict.fromkeys(lengths, 0.0), dict.fromkeys(lengths, 0.0)
    for hit in read_hits(work, "train", begin):
        if hit.target < train:  # the training set may be smaller than at the time of that search
            anywhere[hit.query] = max(anywhere[hit.query], hit.identity)
            if hit.coverage >= coverage:
                covered[hit.query] = max(covered[hit.query], hit.identity)
    relatives = read_relatives(work, begin, identity, coverage)
    accepted: set[int] = set()
    rejected = {"too_short": 0, "near_training": 0, "near_holdout": 0}
    for number in sorted(lengths, reverse=True):
        if len(accepted) == size:
            break
        if lengths[number] < min_length:
            rejected["too_short"] += 1
        elif covered[number] > identity:
            rejected["near_training"] += 1
        elif not accepted.isdisjoint(relatives.get(number, ())):
            rejected["near_holdout"] += 1
        else:
            accepted.add(number)
    write_numbers(work / "holdout.numbers", accepted)
    write_numbers(work / "random.numbers", sorted(lengths, reverse=True)[:size])
    outcome = {
        "candidates": len(lengths),
        "rejected": rejected,
        "identity_limit": identity,
        "coverage": coverage,
        "min_length": min_length,
        "training_sequences": train,
        "covered": covered,
        "anywhere": anywhere,
    }
    (work / "outcome.json").write_text(json.dumps(outcome))
    print(len(accepted))


def write_numbers(path: Path, numbers: Iterable[int]) -> None:
    path.write_text("".join(f"{number}\n" for number in sorted(numbers)))


def read_numbers(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def pick(numbers: Path, first: int) -> None:
    """Read records FIRST, FIRST + 1, … as FASTA from stdin; print those whose number is in NUMBERS."""
    wanted = set(read_numbers(numbers))
    number, keep = first - 1, False
    for line in sys.stdin:
        if line[0] == ">":
            number += 1
            keep = number in wanted
        if keep:
            sys.stdout.write(line)


def identities(work: Path, name: str, output: Path) -> None:
    """Read the identifiers of one holdout, `holdout` or `holdout_random`, from stdin, one a line in its order; write to
    OUTPUT the largest identity of each to the training set, and its tenth as the column `group`."""
    outcome = read_json(work / "outcome.json")
    numbers = read_numbers(work / ("random.numbers" if name == "holdout_random" else "holdout.numbers"))
    lines = ["identifier,identity,group\n"]
    for identifier, number in zip(sys.stdin.read().split("\n"), numbers, strict=False):
        identity = outcome["covered"][str(number)]
        low = min(9, int(10 * identity))
        group = f"{low / 10:.1f} to {(low + 1) / 10:.1f}" if identity > 0 else "no hit"
        lines.append(f"{identifier},{identity:g},{group}\n")
    output.write_text("".join(lines))


def histogram(identities: Iterable[float]) -> list[tuple[float, int]]:
    counts = [0] * BINS
    for identity in identities:
        if identity > 0:
            counts[min(BINS - 1, int(identity * BINS))] += 1
    return [(round(i / BINS, 4), count) for i, count in enumerate(counts)]


def report(work: Path, name: str, training_hash: str, version: str) -> None:
    """Print the report on one holdout, `holdout` or `holdout_random`, as JSON."""
    outcome = read_json(work / "outcome.json")
    is_random = name == "holdout_random"
    numbers = read_numbers(work / ("random.numbers" if is_random else "holdout.numbers"))
    covered = [outcome["covered"][str(number)] for number in numbers]
    anywhere = [outcome["anywhere"][str(number)] for number in numbers]
    limit = outcome["identity_limit"]
    checked = f"no training neighbour above identity {limit:g} at coverage {outcome['coverage']:g}"
    result: Json = {
        "split": "random split, homologues present" if is_random else checked,
        "training_hash": training_hash,
        "subset_hashes": [],
        "training_sequences": outcome["training_sequences"],
        "sequences": len(numbers),
        "identity_limit": limit,
        "coverage": outcome["coverage"],
        "largest_identity": max(covered),
        "above_limit": sum(identity > limit for identity in covered),
        "without_neighbour": sum(identity == 0 for identity in covered),
        "largest_identity_any_coverage": max(anywhere),
        "histogram": histogram(covered),
        "search": f"mmseqs {version} {SEARCH}",
    }
    if not is_random:
        result |= {key: outcome[key] for key in ("min_length", "candidates", "rejected")}
    print(json.dumps(result, indent=2))


def summary(checked: Path, random: Path, output: Path, settings: str) -> None:
    """Write both reports and the SETTINGS to OUTPUT, and print a table."""
    reports = {"checked": read_json(checked), "random": read_json(random)}
    write_json(output, {"holdout": reports["checked"], "holdout_random": reports["random"], "settings": settings})
    rows = [
        [
            name,
            f"{found['sequences']:,}",
            f"{found['largest_identity']:g}",
            f"{found['above_limit']:,}",
            f"{found['without_neighbour']:,}",
            f"{found['largest_identity_any_coverage']:g}",
        ]
        for name, found in reports.items()
    ]
    print(markdown_table(HEAD, rows))
    dropped = reports["checked"]["rejected"]
    print(
        f"\nOf {reports['checked']['candidates']:,} candidates {dropped['near_training']:,} were dropped for a "
        f"neighbour in the training set, {dropped['near_holdout']:,} for one in the holdout, "
        f"{dropped['too_short']:,} as too short."
    )


if __name__ == "__main__":
    run_commands(__doc__, decide, pick, identities, report, summary)
