"""Numbers 3, 4, 10 and 12 to 15: files that are links, lie, are nested, are pipes, or do not fit on the disk."""

import ctypes
import ctypes.util
import json
import os
import shutil
import struct
from pathlib import Path

from torture.bench import Bench, partial_files, require, tree_of
from torture.kills import run_names, undisturbed_run
from torture.scenes import QUICK, force, one_line, plan_study, refused, require_refusal, seal, write_points

LEVELS = 80000
NESTED = "[" * LEVELS + "]" * LEVELS


def copy_of_set(bench: Bench, name: str) -> Path:
    folder = bench.folder / name / "set"
    shutil.copytree(bench.folder / "set", folder)
    return folder


# Number 3


def links_are_not_followed(bench: Bench) -> None:
    outside = bench.folder / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "victim").write_text("content")
    (outside / "folder" / "inner").write_text("content")
    before = tree_of(outside)
    run, output = bench.folder / "linked-run", bench.folder / "linked-set"
    run.mkdir()
    (run / "lock").symlink_to(outside / "victim")
    bench.end(bench.train_arguments(run, ["--set", "train.epochs=1"]))
    require(tree_of(outside) == before, "`train` follows RUN/lock and changes its target")
    output.mkdir()
    (output / ".preparing").symlink_to(outside / "folder")
    bench.end(["prepare", "--input", str(bench.folder / "in.fasta"), "--output", str(output)])
    require(tree_of(outside) == before, "`prepare` follows OUT/.preparing and changes its target")


# Number 4


def a_manifest_stays_inside(bench: Bench) -> None:
    folder = copy_of_set(bench, "leading-out")
    manifest = json.loads((folder / "manifest.json").read_text())
    shard = next(file for file in manifest["content"]["files"] if file["kind"] == "shard")
    (folder / shard["name"]).rename(folder.parent / "outside.zst")
    shard["name"] = "../outside.zst"
    seal(bench, folder / "manifest.json", manifest, ["info", str(folder)])
    read = ["fasta", str(folder), "--output", str(folder.parent / "read.fasta")]
    refused(bench, read, "a manifest whose shard is ../outside.zst")


def a_study_stays_inside(bench: Bench) -> None:
    folder = bench.folder / "study-out" / "study"
    plan_study(bench, folder, ["--no-lr-sweep"])
    file = folder / "study.json"
    name, outside = run_names(folder)[0], "../../../outside"
    shutil.copy(folder / "configs" / f"{name}.json", folder / "configs" / f"{outside}.json")
    file.write_text(file.read_text().replace(name, outside))
    refused(bench, ["study", "status", str(folder)], f"a study.json with a run {outside}")


# Number 10


def nested_json_is_refused(bench: Bench) -> None:
    run, _ = undisturbed_run(bench, "undisturbed", [])
    config = bench.folder / "nested.json"
    config.write_text(f'{{"model": {NESTED}}}')
    arguments = bench.train_arguments(bench.folder / "nested-run", ["--dry-run"])
    arguments[arguments.index("--config") + 1] = str(config)
    refused(bench, arguments, f"a configuration of {LEVELS} levels")
    set_ = copy_of_set(bench, "nested")
    (set_ / "manifest.json").write_text(f'{{"checksum": "{"0" * 32}", "content": {NESTED}}}')
    refused(bench, ["info", str(set_)], f"a manifest.json of {LEVELS} levels")
    copy = bench.folder / "nested-metrics"
    shutil.copytree(run, copy)
    with (copy / "metrics.jsonl").open("a") as out:
        out.write(f'{{"step": {NESTED}}}\n')
    refused(bench, ["info", str(copy)], f"metrics.jsonl of {LEVELS} levels")
    laws = bench.folder / "nested-laws.json"
    laws.write_text(f'{{"format": {NESTED}}}')
    refused(bench, ["plan", "--laws", str(laws), "--flops", "1e18"], f"laws.json of {LEVELS} levels")


# Number 12


def points_come_from_a_pipe(bench: Bench) -> None:
    tables = {
        "": "parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n8e6,2e8,2.8\n",
        " with FLOPs": "parameters,tokens,flops,loss\n1e6,1e8,6e14,3\n2e6,1e8,1.2e15,2.9\n4e6,1e8,2.4e15,2.85\n",
    }
    for number, (what, table) in enumerate(tables.items()):
        points, output = bench.folder / f"piped-{number}.csv", bench.folder / f"piped-laws-{number}"
        points.write_text(table)
        script = 'exec "$0" fit --points <(cat "$POINTS") --bootstrap 0 --output "$OUTPUT"'
        words = ["env", f"POINTS={points}", f"OUTPUT={output}", "bash", "-c", script]
        process = bench.start([], words)
        status = process.wait(QUICK)
        if status != 0:
            require_refusal(process, status, f"fit --points <(…){what}")
        require(status != 0 or (output / "laws.json").exists(), f"fit --points <(…){what} writes nothing")


def pipes_without_a_writer_do_not_hang(bench: Bench) -> None:
    """They may wait for a writer, but not for ever."""
    pipe = bench.folder / "pipe"
    os.mkfifo(pipe)
    planned = bench.train_arguments(bench.folder / "piped-config", ["--dry-run"])
    readers = {"the configuration": [str(pipe) if word == str(bench.config) else word for word in planned]}
    for name in ("manifest.json", "index.bin"):
        set_ = copy_of_set(bench, f"pipe-for-{name}")
        (set_ / name).unlink()
        os.mkfifo(set_ / name)
        readers[name] = ["info", str(set_), "--verify"]
    started = {name: bench.start(arguments) for name, arguments in readers.items()}
    for name, process in started.items():
        require_refusal(process, process.wait(QUICK), f"a pipe as {name}")


def devices_are_refused(bench: Bench) -> None:
    """They have no end, so whoever reads one whole never comes back."""
    configured = bench.train_arguments(bench.folder / "device-config", ["--dry-run"])
    prepared = ["prepare", "--output", str(bench.folder / "device-set"), "--input"]
    readers = {
        "fit --points": ["fit", "--output", str(bench.folder / "device-laws"), "--points", "DEVICE"],
        "plan --laws": ["plan", "--flops", "1e18", "--laws", "DEVICE"],
        "train --config": ["DEVICE" if word == str(bench.config) else word for word in configured],
        "prepare --input": [*prepared, "DEVICE"],
        "prepare --exclude": [*prepared, str(bench.folder / "in.fasta"), "--exclude", "DEVICE"],
        "prepare --clusters": [*prepared, str(bench.folder / "in.fasta"), "--clusters", "DEVICE"],
    }
    for number, (what, arguments) in enumerate(readers.items()):
        device = ("/dev/zero", "/dev/urandom")[number % 2]
        words = [device if word == "DEVICE" else word for word in arguments]
        said = refused(bench, words, f"{what} {device}", ["prlimit", f"--data={3 << 30}"])
        require("no memory left" not in said, f"{what} {device} is read until memory ends: {said}")


# Number 13


def checksum64(content: bytes) -> int:
    library = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return int(library.XXH3_64bits(content, len(content)))


def sizes_are_bounded_before_they_are_allocated(bench: Bench) -> None:
    """4.2 GB of identifiers by the index, of which there are 2 KB. Data may take 3 GiB."""
    set_ = copy_of_set(bench, "huge")
    content = bytearray((set_ / "index.bin").read_bytes())
    header, entry, identifier_bytes = 96, 80, 60  # bytes, of docs/formats.md
    struct.pack_into("<I", content, header + identifier_bytes, 4_200_000_000)
    checksum = checksum64(bytes(content[header : header + entry - 8]))
    struct.pack_into("<Q", content, header + entry - 8, checksum)
    (set_ / "index.bin").write_bytes(content)
    arguments = ["fasta", str(set_), "--output", str(set_.parent / "huge.fasta")]
    said = refused(bench, arguments, "an index that announces 4.2 GB", ["prlimit", f"--data={3 << 30}"])
    require("memory" not in said and "alloc" not in said, f"4.2 GB are allocated for a set of 40 KB: {said}")


def an_exclusion_keeps_to_its_memory(bench: Bench) -> None:
    """22 MB of identifiers, which take three times that in memory, where `prepare` may hold 32 MB."""
    names = bench.folder / "excluded"
    names.write_text("p1\n" + "".join(f"UniRef50_A0A{n:09}\n" for n in range(1_000_000)))
    arguments = ["prepare", "--input", str(bench.folder / "in.fasta"), "--output", str(bench.folder / "less")]
    more = ["--exclude", str(names), "--memory", "32M"]
    said = refused(bench, [*arguments, *more], "an exclusion beyond --memory", ["prlimit", f"--as={16 << 30}"])
    require("--memory" in said, f"an exclusion beyond --memory is refused for another reason: {said}")


def integers_of_a_manifest_are_checked(bench: Bench) -> None:
    set_ = copy_of_set(bench, "negative")
    manifest = json.loads((set_ / "manifest.json").read_text())
    manifest["content"]["residues"] = -5
    seal(bench, set_ / "manifest.json", manifest, ["info", str(set_)])
    refused(bench, ["info", str(set_)], "a manifest of -5 residues")


# Number 14


def an_error_is_one_line_of_text(bench: Bench) -> None:
    quiet = ["--log-level", "error"]
    evil = "a\x1b[31mb\nerror: c"
    for verb in (["info"], ["fasta"], ["export", "--output", str(bench.folder / "export")]):
        said = refused(bench, [*verb, str(bench.folder / evil), *quiet], f"`{verb[0]}` of a name with ESC and newline")
        one_line(said, f"`{verb[0]}` of a name with ESC and newline")
    config = bench.folder / "evil.json"
    config.write_text(json.dumps({"model": {evil: 1}}))
    arguments = bench.train_arguments(bench.folder / "evil-run", [*quiet, "--dry-run"])
    arguments[arguments.index("--config") + 1] = str(config)
    one_line(refused(bench, arguments, "an evil key"), "a key with ESC and newline")


def errors_are_our_own(bench: Bench) -> None:
    quiet = ["--log-level", "error"]
    set_ = copy_of_set(bench, "without-a-key")
    manifest = json.loads((set_ / "manifest.json").read_text())
    del manifest["content"]["residues"]
    seal(bench, set_ / "manifest.json", manifest, ["info", str(set_)])
    one_line(refused(bench, ["info", str(set_), *quiet], "no residues"), "a manifest without a key")
    below_a_file = str(bench.folder / "in.fasta" / "below")
    verbs = {
        "prepare": ["prepare", "--input", str(bench.folder / "in.fasta"), "--output", below_a_file],
        "train": bench.train_arguments(Path(below_a_file), []),
        "plan": ["plan", "--isoflop", "1e18", "--output", below_a_file],
    }
    for verb, arguments in verbs.items():
        one_line(refused(bench, [*arguments, *quiet], f"{verb} below a file"), f"`{verb} --output` below a file")


# Number 15


def a_full_disk_leaves_the_old_result(bench: Bench) -> None:
    """The limit on a file's size lets the first files of a fit through and not the last."""
    points, output = write_points(bench.folder / "points-15.csv", 4), bench.folder / "fitted"
    fit = ["fit", "--points", str(points), "--bootstrap", "0", "--output", str(output)]
    bench.succeed(fit)
    before = tree_of(output)
    write_points(points, 3)
    largest = max(file.stat().st_size for file in output.iterdir())
    again = [*fit, *force(bench, ["fit"])]
    refused(bench, again, "fit on a full disk", ["prlimit", f"--fsize={largest // 2}"])
    changed = sorted(name for name, _ in set(before.items()) ^ set(tree_of(output).items()))
    require(not changed, f"fit on a full disk leaves old and new together: {', '.join(changed)}")


def a_full_disk_leaves_nothing_of_a_set(bench: Bench) -> None:
    output = bench.folder / "no-room-set"
    arguments = ["prepare", "--input", str(bench.folder / "in.fasta"), "--output", str(output)]
    refused(bench, arguments, "prepare on a full disk", ["prlimit", "--fsize=4096"])
    left = sorted(tree_of(output)) if output.exists() else []
    require(not left, f"prepare on a full disk leaves {left}")
    bench.succeed(arguments)
    require(not partial_files(output), f"left behind: {partial_files(output)}")
