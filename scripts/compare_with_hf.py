#!/usr/bin/env python3
"""esmscale against transformers, both ways; scripts/compare_with_hf.sh runs it with the right versions."""

import argparse
import json
import random
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import safetensors
import safetensors.torch
import torch
import transformers

from esmtools.results import fail
from reference import downstream, esm

PRESETS = {
    "tiny": (2, 64, 4, 33),
    "tiny-29": (2, 64, 4, 29),
    "5M": (6, 256, 16, 33),
    "8M": (6, 320, 20, 33),
    "35M": (12, 480, 20, 33),
    "150M": (30, 640, 20, 33),
}  # layers, width, heads, tokens
SCORES = 1e-4  # of a log-probability, nats
LOGITS, LOSS, GRADIENTS = 1e-5, 1e-5, 1e-4  # relative to the largest; the gradient's to the largest of its kind
NEGLIGIBLE = 1e-3  # a kind of parameter whose gradient is this small next to the largest is compared at its scale


class Comparison:
    def __init__(self, build: Path, folder: Path) -> None:
        self.build, self.folder = build, folder
        self.rows: list[tuple[str, float, float]] = []  # name, difference, tolerance

    def run(self, *command: str | Path | int) -> str:
        """Returns the output of esmscale or the probe."""
        quiet = ["--log-level", "error"] if command[0] == "esmscale" else []
        done = subprocess.run(
            [str(self.build / str(command[0])), *map(str, command[1:]), *quiet], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            fail(f"{' '.join(map(str, command))} ended with status {done.returncode}")
        return done.stdout

    def add(self, what: str, difference: float, bound: float) -> None:
        self.rows.append((what, difference, bound))

    def logits(self, checkpoint: Path, sequences: Sequence[esm.Example], *flags: str | int) -> list[Any]:
        fasta, out = self.folder / "sequences.fasta", self.folder / "logits.safetensors"
        fasta.write_text("".join(f">{i}\n{s['shown'].upper()}\n" for i, s in enumerate(sequences)))
        files: list[str | Path] = ["--input", fasta, "--output", out, "--force"]
        self.run("esmscale", "logits", "--checkpoint", checkpoint, *files, *flags)
        tensors = safetensors.torch.load_file(out)
        return [tensors[str(i)] for i in range(len(sequences))]

    def compare_logits(self, what: str, theirs: Sequence[Any], ours: Sequence[Any]) -> None:
        scale = max(logits.abs().max().item() for logits in theirs)
        self.add(what, max((a - b).abs().max().item() for a, b in zip(theirs, ours, strict=True)) / scale, LOGITS)

    def compare_wider(self, checkpoint: Path, logits: Sequence[Any], sequences: Sequence[esm.Example]) -> None:
        """A model of 29 tokens as a folder of 33: the log-probabilities of the 29 are the same."""
        self.run("esmscale", "export", checkpoint, "--output", self.folder / "wide", "--alphabet", 33)
        wide, missed = esm.load_model(self.folder / "wide")
        if missed:
            fail(f"transformers loads the folder of 33 tokens with {missed}")
        with torch.no_grad():
            of_33, _, _ = esm.forward(wide, sequences)
        places = [esm.TOKENS[33].index(token) for token in esm.TOKENS[29]]
        self.compare_logits(
            "log-probabilities, exported with 33 tokens",
            [of_29.log_softmax(-1) for of_29 in logits],
            [wider.log_softmax(-1)[:, places] for wider in of_33],
        )

    def compare_gradients(self, model: Any, checkpoint: Path, sequences: Sequence[esm.Example]) -> None:
        (self.folder / "sequences.json").write_text(json.dumps(sequences))
        out = self.folder / "gradients.safetensors"
        self.run("golden_probe", "gradients", checkpoint, self.folder / "sequences.json", out)
        _, loss, theirs = esm.gradients(model, sequences)
        errors: dict[str, float] = {}
        scales: dict[str, float] = {}
        with safetensors.safe_open(out, "pt") as ours:
            self.add("loss", abs(json.loads(ours.metadata()["loss"]) - loss) / loss, LOSS)
            for name, gradient in theirs.items():
                kind = ".".join(part for part in name.split(".") if not part.isdigit())
                error = (ours.get_tensor(name) - gradient).abs().max().item()
                errors[kind] = max(errors.get(kind, 0), error)
                scales[kind] = max(scales.get(kind, 0), gradient.abs().max().item())
        least = NEGLIGIBLE * max(scales.values())
        worst = max(errors, key=lambda kind: errors[kind] / max(scales[kind], least))
        self.add(f"gradients (worst: {worst})", errors[worst] / max(scales[worst], least), GRADIENTS)

    def compare_eval(self, model: Any, checkpoint: Path, alphabet: int) -> None:
        """The verb eval against transformers on the same windows and masks."""
        rng = random.Random(5)
        fasta, data = self.folder / "proteins.fasta", self.folder / "data"
        fasta.write_text(
            "".join(f">p{i}\n{''.join(rng.choices(esm.LETTERS[:20], k=rng.randrange(20, 160)))}\n" for i in range(24))
        )
        self.run("esmscale", "prepare", "--input", fasta, "--output", data, "--eval-length", 120)
        ours = json.loads(self.run("esmscale", "eval", "--checkpoint", checkpoint, "--holdout", data, "--json"))
        for pattern, key in (("bert", "loss"), ("mask-only", "loss_mask_only")):
            masks = json.loads(self.run("golden_probe", "masks", data, pattern, alphabet, 24))
            with torch.no_grad():
                _, loss, chosen = esm.forward(model, masks)
            theirs = loss.item() / chosen
            self.add(f"eval, {pattern}", abs(ours[key] - theirs) / theirs, LOSS)

    def compare_scores(self, model: Any, checkpoint: Path) -> None:
        """The verb score against the three formulas, each residue of each protein in a pass of its own."""
        rng = random.Random(9)
        protein = "".join(rng.choices(esm.LETTERS[:20], k=43))
        singles = {f"{protein[i]}{i + 1}{rng.choice(esm.LETTERS[:20])}" for i in range(0, 43, 6)}
        mutants = [*sorted(m for m in singles if m[0] != m[-1]), f"{protein[1]}2W:{protein[40]}41C"]
        mutants = [m for m in mutants if all(one[0] != one[-1] for one in m.split(":"))]
        assay, out = self.folder / "assay.csv", self.folder / "scored.csv"
        assay.write_text("mutant\n" + "\n".join(mutants) + "\n")
        for method in ("masked-marginals", "wildtype-marginals", "pseudo-likelihood"):
            self.run(
                *("esmscale", "score", "--checkpoint", checkpoint, "--assay", assay, "--sequence", protein),
                *("--method", method, "--output", out, "--force"),
            )
            ours = [float(line.split(",")[1]) for line in out.read_text().splitlines()[1:]]
            theirs = downstream.variant_scores(model, protein, mutants, method)
            terms = 2 * len(protein) if method == "pseudo-likelihood" else 1  # log-probabilities in a score
            worst = max(abs(a - b) for a, b in zip(theirs, ours, strict=True))
            self.add(f"score, {method}, by log-probability", worst / terms, SCORES)

    def compare_contacts(self, model: Any, checkpoint: Path) -> None:
        """The contact head's probabilities, from the .npy that the verb contacts writes."""
        protein = "".join(random.Random(4).choices(esm.LETTERS[:20], k=37))
        fasta, out = self.folder / "one.fasta", self.folder / "maps"
        fasta.write_text(f">one\n{protein}\n")
        self.run("esmscale", "contacts", "--checkpoint", checkpoint, "--input", fasta, "--output", out, "--force")
        ours = torch.from_numpy(numpy.load(out / "one.npy"))
        self.add("contacts", (ours - downstream.contacts(model, protein)).abs().max().item(), SCORES)

    def compare_embeddings(self, model: Any, checkpoint: Path) -> None:
        """Every layer's rows, relative to the layer's largest number."""
        protein = "".join(random.Random(6).choices(esm.LETTERS, k=29))
        fasta, out = self.folder / "one.fasta", self.folder / "embeddings"
        fasta.write_text(f">one\n{protein}\n")
        self.run(
            *("esmscale", "embed", "--checkpoint", checkpoint, "--input", fasta, "--output", out, "--force"),
            *("--layers", "all", "--per-residue", "--include-ends"),
        )
        ours = safetensors.torch.load_file(out / "embeddings-00001.safetensors")
        theirs = downstream.hidden_states(model, protein)
        errors = [
            ((ours[f"one/layer_{layer}"] - state).abs().max() / state.abs().max()).item()
            for layer, state in enumerate(theirs)
        ]
        self.add(f"hidden states of {len(theirs)} layers", max(errors), LOGITS)

    def table(self) -> str:
        width = max(len(what) for what, _, _ in self.rows)
        lines = [f"| {'compared':<{width}} | difference | tolerance |", f"| {'-' * width} | ---------- | --------- |"]
        lines += [f"| {what:<{width}} | {difference:10.1e} | {bound:9.0e} |" for what, difference, bound in self.rows]
        return "\n".join(lines)

    def failed(self) -> list[str]:
        return [what for what, difference, bound in self.rows if not difference <= bound]


def sequences_for_comparison() -> list[esm.Example]:
    """Odd lengths, letters outside the twenty, masks, letters in a chosen residue's place."""
    rng = random.Random(7)
    made = []
    for length in (1, 17, 64, 131):
        truth = "".join(rng.choices(esm.LETTERS, k=length))
        shown = "".join("_" if rng.random() < 0.15 else c.lower() if rng.random() < 0.05 else c for c in truth)
        made.append(dict(truth=truth, shown=shown))
    return [*made, dict(truth="MKTAYIAKQR", shown="MKT_YiAK_R")]


def reference_model(name: str, folder: Path) -> tuple[Path, int]:
    """(folder, its number of tokens): as given, or one of random weights that transformers writes."""
    if name not in PRESETS:
        return Path(name), json.loads((Path(name) / "config.json").read_text())["vocab_size"]
    layers, width, heads, alphabet = PRESETS[name]
    model = esm.make_model(
        dict(layers=layers, width=width, heads=heads, ffn=4 * width, alphabet=alphabet, token_dropout=True)
    )
    esm.fill_by_rule(model)
    esm.round_rotary(model)
    with torch.no_grad():
        model.esm.contact_head.regression.weight.normal_()
        model.esm.contact_head.regression.bias.fill_(-1.5)
    model.save_pretrained(folder / "theirs")
    esm.write_vocabulary(folder / "theirs", alphabet)
    return folder / "theirs", alphabet


def check_export(model: Any, folder: Path) -> Any:
    """Requires of the exported folder all weights and a tokenizer; returns its model."""
    found, missed = esm.load_model(folder)
    if missed:
        fail(f"transformers loads {folder} with {missed}")
    for name, value in model.state_dict().items():
        if not torch.equal(value, found.state_dict()[name]):
            fail(f"{name} did not come back from the export")
    tokenizer = transformers.EsmTokenizer.from_pretrained(folder)
    ids = tokenizer("MKX<mask>B")["input_ids"]
    wanted = esm.token_ids(dict(shown="MKX_B"), model.config.vocab_size)[0].tolist()
    if ids != wanted or len(tokenizer) != model.config.vocab_size:
        fail(f"the exported tokenizer gives {ids} of {len(tokenizer)} tokens, not {wanted}")
    return found


def compare(name: str, build: Path) -> list[str]:
    """Prints the table of one model; returns what is above its tolerance."""
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        theirs, alphabet = reference_model(name, folder)
        model, _ = esm.load_model(theirs)
        comparison = Comparison(build, folder)
        sequences = sequences_for_comparison()
        with torch.no_grad():
            logits, _, _ = esm.forward(model, sequences)

        comparison.compare_logits("logits of their folder", logits, comparison.logits(theirs, sequences))
        comparison.compare_logits(
            "the same, packed together", logits, comparison.logits(theirs, sequences, "--batch-rows", 100000)
        )
        checkpoint = folder / "checkpoint"
        comparison.run("esmscale", "import", theirs, "--output", checkpoint)
        comparison.run("esmscale", "export", checkpoint, "--output", folder / "ours", "--alphabet", alphabet)
        returned = check_export(model, folder / "ours")
        with torch.no_grad():
            comparison.compare_logits(
                "logits of our export, theirs and ours",
                esm.forward(returned, sequences)[0],
                comparison.logits(checkpoint, sequences),
            )
        if alphabet == 29:
            comparison.compare_wider(checkpoint, logits, sequences)
        comparison.compare_gradients(model, checkpoint, sequences)
        comparison.compare_eval(model, checkpoint, alphabet)
        comparison.compare_scores(model, checkpoint)
        comparison.compare_contacts(model, checkpoint)
        comparison.compare_embeddings(model, checkpoint)

    print(
        f"esmscale and transformers {transformers.__version__} (torch {torch.__version__}, CPU, fp32): "
        f"{name}\n\n{comparison.table()}\n"
    )
    return [f"{name}: {what}" for what in comparison.failed()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--models", required=True, help="separated by commas")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    failed = [what for name in arguments.models.split(",") for what in compare(name, arguments.build)]
    if failed:
        fail("above tolerance: " + "; ".join(failed))


if __name__ == "__main__":
    main()
