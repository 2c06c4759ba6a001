"""What the release note of UniRef (a metalink file) says about uniref50.fasta.gz."""

from pathlib import Path
from xml.etree import ElementTree

from esmtools.commands import run_command
from esmtools.results import fail

FILE = "uniref50.fasta.gz"


def value_of(note: Path, tag: str) -> str:
    """The text of the file's element `tag`; of its hashes, the MD5."""
    for entry in ElementTree.parse(note).iter():
        if entry.tag.endswith("file") and entry.get("name") == FILE:
            for part in entry.iter():
                if part.tag.rpartition("}")[2] == tag and part.get("type") in (None, "md5") and part.text:
                    return part.text.strip()
    fail(f"{note}: expected the {tag} of {FILE}, found none")


def release(note: Path) -> None:
    """Print the size in bytes and the MD5 of uniref50.fasta.gz as the release NOTE has them."""
    print(int(value_of(note, "size")), value_of(note, "hash"))


if __name__ == "__main__":
    run_command(release)
