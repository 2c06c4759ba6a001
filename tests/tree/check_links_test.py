"""Every document and file that the tree names exists: links and paths in Markdown, names of documents in the comments
and strings of sources, and names of C++ files in the comments of C++. Oracle: the file system."""

import pathlib
import re
import unittest
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]
NOT_OURS = {"build", "data", "runs"}  # what .gitignore excludes, apart from folders that begin with a dot
SOURCES = {".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".sbatch", ".cmake", ".json"}
WRITTEN_BY_SCRIPTS = {"levels.md", "plan.md", "table.md"}  # outputs of scripts/uniref, in folders of the caller

PLACEHOLDERS = {"ROOM", "NAME"}  # of paths in instructions

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
# A path from the root of the tree, as code or as the command of a code block: `src/main.cpp`, scripts/test.sh -R data
PATH = re.compile(
    r"(?:^|`)((?:src|include|tests|scripts|tools|benchmarks|configs|cmake|docs)/[\w./-]*\w)(?=[`\s])", re.MULTILINE
)
DOCUMENT = re.compile(r"(?:[\w.-]+/)*[\w-]+\.md\b")
CPP = {".h", ".cpp", ".cu", ".cuh"}
CPP_COMMENT = re.compile(r"//.*")
CPP_FILE = re.compile(r"(?<![\w<./-])(?:[\w.-]+/)*[\w.-]+\.(?:cuh|cu|cpp|h)\b(?![\w-])")


def tree_files() -> Iterator[pathlib.Path]:
    for top in sorted(ROOT.iterdir()):
        if top.is_file():
            yield top
        elif top.name == ".ci" or not (top.name.startswith(".") or top.name in NOT_OURS):
            yield from (path for path in sorted(top.rglob("*")) if path.is_file())


def pages() -> list[pathlib.Path]:
    return [path for path in tree_files() if path.suffix == ".md"]


def sources() -> list[pathlib.Path]:
    return [
        path
        for path in tree_files()
        if path.suffix in SOURCES or path.name == "CMakeLists.txt" or path.parent.name == ".ci"
    ]


def dangling_documents(text: str, documents: list[str]) -> list[str]:
    """Names of documents in `text` that are none of `documents`, which are paths from the root. A name with folders
    must be the end of such a path."""
    named = [name for name in DOCUMENT.findall(text) if pathlib.PurePath(name).name not in WRITTEN_BY_SCRIPTS]
    return [name for name in named if not any(("/" + document).endswith("/" + name) for document in documents)]


def dangling_cpp_files(text: str, files: list[str]) -> list[str]:
    """The same for names of C++ files in the comments of `text`. A name in angle brackets is that of a library."""
    named = [name for comment in CPP_COMMENT.findall(text) for name in CPP_FILE.findall(comment)]
    return [name for name in named if not any(("/" + file).endswith("/" + name) for file in files)]


class Links(unittest.TestCase):
    def test_relative_links_lead_somewhere(self) -> None:
        links = [(page, link) for page in pages() for link in LINK.findall(page.read_text()) if "://" not in link]
        self.assertTrue(links)
        broken = [f"{page}: {link}" for page, link in links if not (page.parent / link).exists()]
        self.assertEqual(broken, [])

    def test_paths_in_pages_exist(self) -> None:
        named = [(page, path) for page in pages() for path in PATH.findall(page.read_text())]
        self.assertTrue(named)
        missing = [
            f"{page}: {path}"
            for page, path in named
            if not (ROOT / path).exists() and not PLACEHOLDERS & {part.split(".")[0] for part in path.split("/")}
        ]
        self.assertEqual(missing, [])

    def test_documents_that_sources_name_exist(self) -> None:
        documents = [page.relative_to(ROOT).as_posix() for page in pages()]
        dangling = [
            f"{source}: {name}"
            for source in sources()
            for name in dangling_documents(source.read_text(errors="replace"), documents)
        ]
        self.assertEqual(dangling, [])

    def test_a_dangling_name_is_found(self) -> None:
        documents = ["README.md", "docs/laws.md"]
        gone = "gone" + ".md"  # in two parts, so that this file names no such document
        text = f'// as README.md and laws.md say ({gone}, section 2); see "docs/laws.md" and docs/{gone}'
        self.assertEqual(dangling_documents(text, documents), [gone, f"docs/{gone}"])

    def test_cpp_files_that_comments_name_exist(self) -> None:
        paths = [path for path in tree_files() if path.suffix in CPP]
        files = [path.relative_to(ROOT).as_posix() for path in paths]
        dangling = [
            f"{path}: {name}" for path in paths for name in dangling_cpp_files(path.read_text(errors="replace"), files)
        ]
        self.assertTrue(files)
        self.assertEqual(dangling, [])

    def test_a_dangling_cpp_file_is_found(self) -> None:
        files = ["src/kernels/gpu/gpu.cu", "include/esmscale/core/text.h"]
        text = """#include "gone.h"
int x;  // as in gpu.cu, core/text.h and <vector.h>; see gone.cu
// data/text.h, (gone_test.cpp).
"""
        self.assertEqual(dangling_cpp_files(text, files), ["gone.cu", "data/text.h", "gone_test.cpp"])

    def test_scripts_still_write_what_is_passed_over(self) -> None:
        text = "".join(source.read_text(errors="replace") for source in sources() if source.suffix == ".sh")
        self.assertEqual([name for name in WRITTEN_BY_SCRIPTS if name not in text], [])


if __name__ == "__main__":
    unittest.main()
