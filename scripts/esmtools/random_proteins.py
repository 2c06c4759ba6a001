"""Random proteins for tests and benchmarks, the same ones every time."""

import random

from esmtools.commands import run_command

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def random_proteins(count: int, length: int) -> None:
    """Print COUNT random proteins of LENGTH residues as FASTA."""
    source = random.Random(1)
    for number in range(count):
        print(f">p{number}", "".join(source.choices(AMINO_ACIDS, k=length)), sep="\n")


if __name__ == "__main__":
    run_command(random_proteins)
