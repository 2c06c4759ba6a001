"""Which candidates are far enough from the training set, and the report of it, for scripts/uniref/holdout.sh.

holdout.py decide WORK --begin B --size N --identity I --coverage C --min-length L --train T
                                                       prints how many of the candidates from B on are accepted
holdout.py pick NUMBERS FIRST                          FASTA from stdin, records FIRST, FIRST + 1, … → those in NUMBERS
holdout.py report WORK holdout|holdout_random HASH VERSION     the report of one holdout, JSON
holdout.py summary REPORT REPORT FILE SETTINGS         all in FILE, and a table

Sequences are numbered by their place in the data set. Candidates are taken from the last one backwards.
"""

import argparse
import json
import sys
from pathlib import Path

SEARCH = "search -s 7.5 --max-seqs 1000 -e 1e-3 --alignment-mode 3"
BINS = 20  # of the histogram, in 0 to 1


def rounds(work, pattern, begin):
    """A round's files end in its first candidate. Those of a later round, which an interrupted search has left, are
    not this one's."""
    return [path for path in sorted(work.glob(pattern)) if int(path.stem.rsplit("-", 1)[1]) >= begin]


def read_lengths(work, begin):
    lengths = {}
    for fasta in rounds(work, "candidates-*.fasta", begin):
        with open(fasta) as lines:
            for line in lines:
                if line[0] == ">":
                    number = int(line[1:])
                    lengths[number] = 0
                else:
                    lengths[number] += len(line.rstrip())
    return lengths


def read_hits(work, kind, begin):
    """(query, target, identity, largest of both coverages) of every round so far."""
    for hits in rounds(work, f"{kind}-*.hits", begin):
        with open(hits) as lines:
            for line in lines:
                query, target, identity, _, query_coverage, target_coverage, *_ = line.split("\t")
                yield int(query), int(target), float(identity), max(float(query_coverage), float(target_coverage))


def decide(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    for name, kind in (("begin", int), ("size", int), ("identity", float), ("coverage", float), ("min-length", int), ("train", int)):
        parser.add_argument("--" + name, type=kind, required=True)
    given = parser.parse_args(arguments)
    lengths = read_lengths(given.work, given.begin)
    covered, anywhere = dict.fromkeys(lengths, 0.0), dict.fromkeys(lengths, 0.0)
    for query, target, identity, coverage in read_hits(given.work, "train", given.begin):
        if target < given.train:  # the training set may have shrunk since that search
            anywhere[query] = max(anywhere[query], identity)
            if coverage >= given.coverage:
                covered[query] = max(covered[query], identity)
    relatives = {}
    for query, target, identity, coverage in read_hits(given.work, "self", given.begin):
        if query != target and target >= given.begin and identity > given.identity and coverage >= given.coverage:
            relatives.setdefault(query, set()).add(target)
            relatives.setdefault(target, set()).add(query)
    accepted, rejected = set(), {"too_short": 0, "near_training": 0, "near_holdout": 0}
    for number in sorted(lengths, reverse=True):
        if len(accepted) == given.size:
            break
        if lengths[number] < given.min_length:
            rejected["too_short"] += 1
        elif covered[number] > given.identity:
            rejected["near_training"] += 1
        elif not accepted.isdisjoint(relatives.get(number, ())):
            rejected["near_holdout"] += 1
        else:
            accepted.add(number)
    random = sorted(lengths, reverse=True)[:given.size]
    for name, numbers in (("holdout", accepted), ("random", random)):
        (given.work / f"{name}.numbers").write_text("".join(f"{number}\n" for number in sorted(numbers)))
    outcome = {"candidates": len(lengths), "rejected": rejected, "identity_limit": given.identity,
               "coverage": given.coverage, "min_length": given.min_length, "training_sequences": given.train,
               "covered": covered, "anywhere": anywhere}
    (given.work / "outcome.json").write_text(json.dumps(outcome))
    print(len(accepted))


def read_numbers(path):
    return [int(line) for line in path.read_text().split()]


def pick(arguments):
    wanted = set(read_numbers(Path(arguments[0])))
    number, keep = int(arguments[1]) - 1, False
    for line in sys.stdin:
        if line[0] == ">":
            number += 1
            keep = number in wanted
        if keep:
            sys.stdout.write(line)


def histogram(identities):
    counts = [0] * BINS
    for identity in identities:
        if identity > 0:
            counts[min(BINS - 1, int(identity * BINS))] += 1
    return [[round(i / BINS, 4), count] for i, count in enumerate(counts)]


def report(arguments):
    work, name, training_hash, version = Path(arguments[0]), *arguments[1:]
    outcome = json.loads((work / "outcome.json").read_text())
    is_random = name == "holdout_random"
    numbers = read_numbers(work / ("random.numbers" if is_random else "holdout.numbers"))
    covered = [outcome["covered"][str(number)] for number in numbers]
    anywhere = [outcome["anywhere"][str(number)] for number in numbers]
    limit = outcome["identity_limit"]
    result = {"split": "random split, homologues present" if is_random else
              f"no training neighbour above identity {limit:g} at coverage {outcome['coverage']:g}",
              "training_hash": training_hash, "subset_hashes": [],
              "training_sequences": outcome["training_sequences"], "sequences": len(numbers),
              "identity_limit": limit, "coverage": outcome["coverage"],
              "largest_identity": max(covered), "above_limit": sum(identity > limit for identity in covered),
              "without_neighbour": sum(identity == 0 for identity in covered),
              "largest_identity_any_coverage": max(anywhere),
              "histogram": histogram(covered),
              "search": f"mmseqs {version} {SEARCH}"}
    if not is_random:
        result |= {key: outcome[key] for key in ("min_length", "candidates", "rejected")}
    print(json.dumps(result, indent=2))


def summary(arguments):
    reports = [json.loads(Path(path).read_text()) for path in arguments[:2]]
    both = {"holdout": reports[0], "holdout_random": reports[1], "settings": arguments[3]}
    Path(arguments[2]).write_text(json.dumps(both, indent=2) + "\n")
    print("| holdout | sequences | largest identity | above the limit | no hit at that coverage | largest at any coverage |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, found in zip(("checked", "random"), reports):
        print(f"| {name} | {found['sequences']:,} | {found['largest_identity']:g} | {found['above_limit']:,} | "
              f"{found['without_neighbour']:,} | {found['largest_identity_any_coverage']:g} |")
    dropped = reports[0]["rejected"]
    print(f"\nOf {reports[0]['candidates']:,} candidates {dropped['near_training']:,} were dropped for a neighbour in the "
          f"training set, {dropped['near_holdout']:,} for one in the holdout, {dropped['too_short']:,} as too short.")


{"decide": decide, "pick": pick, "report": report, "summary": summary}[sys.argv[1]](sys.argv[2:])
