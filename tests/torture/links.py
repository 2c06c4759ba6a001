"""Links in the place of everything that a verb writes, renames or removes. Each verb is run once to learn the names
that it makes; then each of them is a link to a file, to a folder or to nothing outside. Whatever the verb does then,
what is outside stays as it is."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from torture.bench import Bench, FindingError, partial_files, require, require_no_frames, require_one_error, tree_of
from torture.kills import plan_study, study_arguments, undisturbed_run

# Links that users make, to put large things elsewhere: they are followed (docs/reliability.md).
MAY_BE_LINKS = {"checkpoints", "runs"}

# Names that exist only while a verb works.
ASIDE = ".esmscale-partial"
TEMPORARY = ["lock", "lease.json", ".preparing", ".preparing/lock", ".preparing/set", ".preparing/temporary"]


@dataclass
class Case:
    """A verb that writes into `output`, which holds a copy of `before` when it starts."""

    name: str
    arguments: list[str]
    before: Path | None = None


def cases_of(bench: Bench, output: Path) -> list[Case]:
    run, _ = undisturbed_run(bench, "undisturbed", [])
    stopped = bench.folder / "stopped"
    if not stopped.exists():
        shutil.copytree(run, stopped)
        for later in sorted((stopped / "checkpoints").iterdir())[1:]:
            shutil.rmtree(later)
    planned = bench.folder / "planned"
    if not planned.exists():
        plan_study(bench, planned)
    points = bench.folder / "points.csv"
    points.write_text("parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n8e6,2e8,2.8\n")
    short = ["--set", "train.max_tokens=4000", "--set", "checkpoint.every_tokens=2000", "--set", "log.tensorboard=true"]
    two = ["--ranks", "2"]
    fasta, holdout = str(bench.folder / "in.fasta"), str(bench.folder / "holdout")
    prepare = ["prepare", "--input", fasta, "--limit", "50", "--output", str(output)]
    prepared = bench.folder / "prepared"
    if not prepared.exists():
        bench.succeed([*prepare[:-1], str(prepared)])
    file, force = str(output / "result"), "--force"
    return [
        Case("train", bench.train_arguments(output, [*short, "--profile", "1"])),
        Case("train with ranks", bench.train_arguments(output, [*short, *two])),
        Case("train again", bench.train_arguments(output, ["--set", "log.tensorboard=true"]), stopped),
        Case("prepare", prepare),
        Case("prepare --force", [*prepare, "--force"], prepared),
        Case("fit", ["fit", "--points", str(points), "--bootstrap", "0", "--output", str(output), force]),
        Case("plan", ["plan", "--flops", "1e20", "--output", str(output), force]),
        Case("assess", ["assess", "--output", file, force]),
        Case("study plan", ["study", "plan", str(output), "--isoflop", "1e18", "--models", "4"]),
        Case("study run", study_arguments(bench, output), planned),
        Case("export", ["export", str(run), "--output", str(output)]),
        Case("fasta", ["fasta", str(bench.folder / "set"), "--output", file, force]),
        Case("logits", ["logits", "--checkpoint", str(run), "--input", fasta, "--output", file, force]),
        Case("eval", ["eval", "--checkpoint", str(run), "--holdout", holdout, "--per-sequence", file, force]),
    ]


def put_before(case: Case, output: Path) -> None:
    shutil.rmtree(output, ignore_errors=True)
    if case.before is not None:
        shutil.copytree(case.before, output)
    elif str(output / "result") in case.arguments:
        output.mkdir()


def names_made(bench: Bench, case: Case, output: Path) -> list[str]:
    """All names below the output that the verb makes or may make."""
    put_before(case, output)
    bench.succeed(case.arguments)
    # One of each kind: the rest of a study's runs and of the steps are written by the same code.
    names, kinds = [], set()
    for name in sorted(tree_of(output)):
        kind = "".join("0" if letter.isdigit() else letter for letter in name)
        if "/runs/" in f"/{name}" and name.count("/") > 0 or kind in kinds or "tfevents" in name:
            continue
        kinds.add(kind)
        names.append(name)
    names += [name for name in TEMPORARY if name not in names]
    return names + [name + ASIDE for name in names]


def plant(output: Path, name: str, target: Path) -> bool:
    """Puts a link in the place of a name. False where a folder above it cannot be."""
    place = output / name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)
    return True


def attack_one(bench: Bench, case: Case, output: Path, outside: Path, name: str, target: str) -> None:
    before = tree_of(outside)
    put_before(case, output)
    if not plant(output, name, outside / target):
        return
    status, process = bench.end(case.arguments)
    if tree_of(outside) != before:
        raise FindingError(f"{case.name} follows {name} to {target}: {process.said()}")
    if status == 0:
        require_no_frames(process.said())
    else:
        require_one_error(process, status)


def attack(bench: Bench, most: int) -> int:
    """Of all pairs of a name and a target `most`, chosen by chance; 0: all."""
    outside, output = bench.folder / "outside", bench.folder / "output"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("content")
    (outside / "folder" / "inner").write_text("content")
    trials = []
    for case in cases_of(bench, output):
        for name in names_made(bench, case, output):
            for target in ("file", "folder", "nothing"):
                if not (name in MAY_BE_LINKS and target != "file"):
                    trials.append((case, name, target))
        require(not partial_files(output), f"{case.name} leaves {partial_files(output)}")
    chosen = trials if most == 0 else bench.random.sample(trials, min(most, len(trials)))
    for case, name, target in chosen:
        attack_one(bench, case, output, outside, name, target)
    shutil.rmtree(output, ignore_errors=True)
    return len(chosen)
