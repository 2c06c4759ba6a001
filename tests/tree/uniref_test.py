"""scripts/uniref on proteins whose families are known: uniref_test.py ESMSCALE [unittest's arguments]

Oracles: how the families were made. Random sequences share about 5% of their residues and MMseqs2 finds no
relation between them (E-value 1e-3); copies keep a share of residues that is far from each limit.
"""

import gzip
import hashlib
import json
import random
import shutil
import sys
import unittest
from pathlib import Path
from typing import Any

from uniref_fixture import FULL_DISK, Scripts, copy_of, failing_mmseqs, fasta, names_in, protein, quick_mmseqs

SKIPPED = 77  # what ctest takes for a skipped test


class Levels(Scripts):
    """40 families of 5: three copies at 85% identity or more, two at about 60%."""

    def setUp(self) -> None:
        super().setUp()
        source = random.Random(1)
        records = []
        for family in range(40):
            first = protein(source)
            for member, changed in enumerate((0, 0.05, 0.05, 0.4, 0.4)):
                records.append((f"f{family}_{member}", copy_of(first, changed, source)))
        self.input = self.folder / "in.fasta"
        self.input.write_text(fasta(records))
        self.output = self.folder / "levels"

    def levels(self, *more: object, **how: Any) -> str:
        return self.run_script(
            "levels.sh",
            self.input,
            self.output,
            "--levels",
            "0.8,0.3",
            "--method",
            "linclust",
            "--threads",
            1,
            *more,
            **how,
        )

    def representatives(self, level: str) -> set[str]:
        return set(names_in((self.output / level / "representatives.fasta").read_text()))

    def test_each_level_is_clustered_from_the_one_above_and_kept(self) -> None:
        said = self.levels()
        # At 80% the close copies fall together and the far ones stay apart: three clusters a family.
        self.assertEqual(json.loads((self.output / "level80/level.json").read_text())["clusters"], 120)
        self.assertEqual(self.info(self.output / "level80/dataset")["sequences"], 120)
        below = json.loads((self.output / "level30/level.json").read_text())
        self.assertEqual(below["input_sequences"], 120)
        self.assertLess(below["clusters"], 120)
        self.assertGreaterEqual(below["clusters"], 40)
        self.assertLess(self.representatives("level30"), self.representatives("level80"))
        self.assertEqual(
            set(names_in(self.esmscale("fasta", self.output / "level30/dataset"))), self.representatives("level30")
        )
        self.assertIn("| 80% | 120 |", said)
        self.assertIn("disk", said)
        before = (self.output / "level80/level.json").stat().st_mtime_ns
        self.assertIn("level80 is there", self.levels())
        self.assertEqual((self.output / "level80/level.json").stat().st_mtime_ns, before)
        self.assertIn(
            "made by easy-linclust",
            self.run_script(
                "levels.sh", self.input, self.output, "--levels", "0.8,0.3", "--method", "cluster", status=1
            ),
        )
        with open(self.input, "a") as more:
            more.write(">late\nMKV\n")
        self.assertIn("made from another file", self.levels(status=1))

    def test_a_failure_half_way_keeps_what_is_done(self) -> None:
        said = self.levels(path=self.programs_with("mmseqs", failing_mmseqs("*level30*")), status=1)
        self.assertIn("no luck", said)
        self.assertIn("MMseqs2 failed at level 0.3", said)
        self.assertFalse((self.output / "level30/level.json").exists())
        self.assertIn("level80 is there", self.levels())
        self.assertTrue((self.output / "level30/level.json").exists())

    def test_an_incomplete_result_is_no_level(self) -> None:
        said = self.levels(
            status=1,
            path=self.programs_with(
                "mmseqs",
                "[ $1 = version ] && { echo 0; exit; }\n"
                "echo 'f0_0\tf0_0' > $3_cluster.tsv; echo '>f0_0\nMKV' > $3_rep_seq.fasta",
            ),
        )
        self.assertIn("200 sequences went in, 1 are in clusters", said)

    def test_what_has_no_room_is_not_begun(self) -> None:
        self.assertIn("of disk, and", self.levels(path=self.programs_with("df", FULL_DISK), status=1))
        self.assertFalse((self.output / "level80/work").exists())

    def test_a_level_that_is_given_is_prepared_as_it_is(self) -> None:
        self.run_script("levels.sh", self.input, self.output, "--given", 0.9, "--levels", 0.5, "--method", "linclust")
        self.assertEqual(self.info(self.output / "level90/dataset")["sequences"], 200)

    def test_wrong_use_is_refused(self) -> None:
        self.assertIn(
            "each is below", self.run_script("levels.sh", self.input, self.output, "--levels", "0.3,0.5", status=1)
        )
        self.assertIn("no FASTA", self.run_script("levels.sh", self.folder / "absent", self.output, status=1))
        said = self.levels(path=str(self.programs_without("mmseqs")), status=1)
        self.assertIn("no mmseqs on PATH", said)
        self.assertFalse(self.output.exists())


class Holdout(Scripts):
    """200 random proteins, then 60 candidates: every third is a copy of a training protein at about 80%, every
    third a copy of the candidate before it, the rest are like nothing else."""

    def setUp(self) -> None:
        super().setUp()
        source = random.Random(2)
        records = [(f"t{i}", protein(source)) for i in range(200)]
        for i in range(20):
            new = protein(source)
            records += [
                (f"near{i}", copy_of(records[7 * i][1], 0.2, source)),
                (f"new{i}", new),
                (f"twin{i}", copy_of(new, 0.2, source)),
            ]
        records.append(("short", "MKVLAAGIV"))
        (self.folder / "in.fasta").write_text(fasta(records))
        self.dataset, self.output = self.folder / "set", self.folder / "split"
        self.esmscale(
            "prepare",
            "--input",
            self.folder / "in.fasta",
            "--keep-order",
            "--output",
            self.dataset,
            "--eval-length",
            77,
        )

    def holdout(self, *more: object, **how: Any) -> str:
        return self.run_script("holdout.sh", self.dataset, "--output", self.output, "--threads", 1, *more, **how)

    def names(self, name: str) -> list[str]:
        return names_in(self.esmscale("fasta", self.output / name))

    def check_candidates_drawn_until_there_are_enough(self, output: Path, size: int) -> None:
        drawn = (output / "drawn.txt").read_text().split()
        train, held = (names_in(self.esmscale("fasta", output / name)) for name in ("train", "holdout"))
        self.assertEqual(len(train), 261 - len(drawn))
        self.assertGreater(len(drawn), size + size // 4 + 20, "one round was enough, and should not have been")
        self.assertEqual(len(held), size)
        self.assertTrue(set(train).isdisjoint(drawn))

    def test_neighbours_are_purged_and_the_report_and_a_shortfall_are_said(self) -> None:
        self.assertIn("shortfall: 20 sequences instead of 40", self.holdout("--size", 40, "--train", 200))
        self.assertEqual(self.names("train"), [f"t{i}" for i in range(200)])
        held = self.names("holdout")
        self.assertEqual(len(held), 20)
        # Taken from the end: a twin is met before its original.
        self.assertEqual(set(held), {f"twin{i}" for i in range(20)})
        info, train = self.info(self.output / "holdout"), self.info(self.output / "train")
        report = info["holdout_report"]
        self.assertEqual(info["eval_length"], 77)
        self.assertEqual(report["training_hash"], train["hash"])
        self.assertLessEqual(report["largest_identity"], 0.5)
        self.assertEqual(report["above_limit"], 0)
        self.assertEqual(report["rejected"], {"too_short": 1, "near_training": 20, "near_holdout": 20})
        lines = (self.output / "holdout.identity.csv").read_text().splitlines()
        self.assertEqual(lines[0], "identifier,identity,group")
        self.assertEqual([line.split(",")[0] for line in lines[1:]], held)
        self.assertLessEqual(max(float(line.split(",")[1]) for line in lines[1:]), 0.5)
        random_report = self.info(self.output / "holdout_random")["holdout_report"]
        self.assertEqual(random_report["split"], "random split, homologues present")
        self.assertGreater(random_report["largest_identity"], 0.7)
        # The last 40 candidates: short and 13 threes.
        self.assertEqual(random_report["above_limit"], 13)
        self.assertEqual(sum(count for _, count in random_report["histogram"]) + random_report["without_neighbour"], 40)
        self.assertEqual(len((self.output / "drawn.txt").read_text().split()), 61)

    # One split for what its end shows, as a search takes seconds.
    def test_a_failure_half_way_keeps_the_searches_that_are_done(self) -> None:
        path = self.programs_with("mmseqs", failing_mmseqs("*all.fasta*"))  # the search of candidates among themselves
        said = self.holdout("--size", 5, "--train", 200, path=path, status=1)
        self.assertIn("no luck", said)
        self.assertIn("MMseqs2 failed", said)
        self.assertEqual([(self.output / name).exists() for name in ("train", "holdout")], [False, False])
        # Again, with a program that refuses what is done: the search against the training set.
        path = self.programs_with("mmseqs", failing_mmseqs("*.search/train\\ *"))
        self.holdout("--size", 5, "--train", 200, path=path)
        self.assertEqual(len(self.names("holdout")), 5)
        # And what is finished is kept.
        path = self.programs_with("mmseqs", failing_mmseqs("*easy-search*"))
        self.assertIn("is there", self.holdout("--size", 5, "--train", 200, path=path))
        # A data set that cannot be read to its end replaces nothing.
        before = self.info(self.output / "train")
        (self.output / "report.json").unlink()
        self.programs_with(
            "esmscale", f'case "$*" in *0:200*) echo ">t0"; echo MKV; exit 1 ;; esac\nexec {self.program} "$@"'
        )
        failing = self.folder / "with-esmscale/esmscale"
        self.holdout("--size", 5, "--train", 200, ESMSCALE=str(failing), status=1)
        self.assertEqual(self.info(self.output / "train"), before)

    # Two rounds: a third of the candidates is accepted.
    def test_candidates_of_a_round_that_was_cut_off_are_not_taken_for_searched(self) -> None:
        whole = self.folder / "whole"
        path = self.programs_with("mmseqs", quick_mmseqs())
        said = self.run_script("holdout.sh", self.dataset, "--output", whole, "--threads", 1, "--size", 15, path=path)
        self.assertNotIn("shortfall", said)
        self.check_candidates_drawn_until_there_are_enough(whole, 15)
        # The first round begins at 223.
        path = self.programs_with("mmseqs", failing_mmseqs("*easy-search*candidates-1*"))
        self.holdout("--size", 15, path=path, status=1)
        self.assertTrue(list((self.output / ".search").glob("candidates-1*.fasta")))
        self.holdout("--size", 15, path=self.programs_with("mmseqs", quick_mmseqs()))
        self.assertEqual((self.output / "report.json").read_text(), (whole / "report.json").read_text())
        self.assertEqual(self.names("holdout"), names_in(self.esmscale("fasta", whole / "holdout")))

    def test_what_has_no_room_is_not_begun(self) -> None:
        self.assertIn("of disk, and", self.holdout("--size", 20, path=self.programs_with("df", FULL_DISK), status=1))
        self.assertFalse((self.output / ".search/train.fasta").exists())

    def test_wrong_use_is_refused(self) -> None:
        self.assertIn("--size is 500", self.holdout("--size", 500, status=1))
        self.assertIn("--train is 261", self.holdout("--size", 5, "--train", 261, status=1))
        self.assertIn("--identity is 50", self.holdout("--size", 5, "--identity", 50, status=1))
        self.assertIn(
            "no prepared data set", self.run_script("holdout.sh", self.folder, "--output", self.output, status=1)
        )
        self.assertIn("no mmseqs on PATH", self.holdout(path=str(self.programs_without("mmseqs")), status=1))
        self.assertFalse((self.output / "train").exists())


class Get(Scripts):
    """A folder in place of UniProt's site: a file and the release note that tells its size and checksum."""

    def setUp(self) -> None:
        super().setUp()
        self.content = gzip.compress(fasta([("a", "MKV")] * 50).encode(), mtime=0)
        self.site, self.file = self.folder / "site", self.folder / "got/uniref50.fasta.gz"
        self.site.mkdir()
        (self.site / "uniref50.fasta.gz").write_bytes(self.content)
        self.release(len(self.content), hashlib.md5(self.content).hexdigest())

    def release(self, size: int, md5: str) -> None:
        def entry(name: str, size: int, md5: str) -> str:
            return (
                f'<file name="{name}"><size>{size}</size><verification><hash type="md5">{md5}</hash>'
                "</verification></file>"
            )

        (self.site / "RELEASE.metalink").write_text(
            '<metalink version="3.0" xmlns="http://www.metalinker.org/"><files>'
            + entry("uniref50.xml.gz", 1, "0")
            + entry("uniref50.fasta.gz", size, md5)
            + "</files></metalink>"
        )

    def get(self, **how: Any) -> str:
        return self.run_script("get.sh", self.file, UNIREF50_SITE=f"file://{self.site}", **how)

    def test_a_file_that_agrees_is_kept(self) -> None:
        self.assertIn("agrees with its checksum", self.get())
        self.assertEqual(self.file.read_bytes(), self.content)
        shutil.rmtree(self.site)
        self.assertIn("is there", self.get())

    def test_a_download_that_was_cut_off_is_resumed(self) -> None:
        self.file.parent.mkdir()
        half = self.file.with_name(self.file.name + ".partial")
        half.write_bytes(self.content[: len(self.content) // 2])
        self.assertIn("are there", self.get())
        self.assertEqual(self.file.read_bytes(), self.content)

    def test_what_does_not_agree_is_removed(self) -> None:
        self.release(len(self.content), "0" * 32)
        self.assertIn("does not agree", self.get(status=1))
        self.assertEqual(sorted(path.name for path in self.file.parent.iterdir()), ["uniref50.fasta.gz.metalink"])

    def test_what_has_no_room_is_not_begun(self) -> None:
        self.release(10**18, "0" * 32)
        self.assertIn("of disk", self.get(status=1))
        self.assertFalse(self.file.exists())


if __name__ == "__main__":
    Scripts.program = sys.argv.pop(1)
    needed, package = ("curl", "curl") if sys.argv[1:] == ["Get"] else ("mmseqs", "mmseqs2")
    if shutil.which(needed) is None:
        print(f"skipped: there is no {needed} on PATH (Debian's package is {package})")
        sys.exit(SKIPPED)
    unittest.main()
