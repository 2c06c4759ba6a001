"""Runs clang-tidy on the sources of the rooms without LibTorch."""

import hashlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from esmtools.commands import run_command
from esmtools.processes import output_of
from esmtools.results import Json, fail, read_json, write_json

ROOM = re.compile(r"^esmscale_room\(([^\s)]+)\s*([^)]*)\)", re.MULTILINE)
GCC_ONLY = {"-fpch-preprocess", "-Winvalid-pch"}  # flags that clang does not know


def rooms_without_torch(rooms_cmake: Path) -> list[str]:
    return [name for name, words in ROOM.findall(rooms_cmake.read_text()) if "TORCH" not in words.split()]


def is_checked(source: Path, root: Path, rooms: list[str]) -> bool:
    """A C++ source (no CUDA) of one of the rooms."""
    return source.suffix == ".cpp" and any(source.is_relative_to(root / "src" / room) for room in rooms)


def command_for_clang(command: str) -> str:
    """Without the compiler launcher and the flags that only GCC knows."""
    words = shlex.split(command)
    compiler = next(i for i, word in enumerate(words) if re.search(r"(g\+\+|clang\+\+|c\+\+)(-\d+)?$", word))
    return shlex.join(word for word in words[compiler:] if word not in GCC_ONLY)


class Checker:
    """Runs clang-tidy; a source that was clean before, with the same headers and rules, is not checked again."""

    def __init__(self, program: str, root: Path, cache: Path, database: Path) -> None:
        self.program, self.root, self.cache, self.database = program, root, cache, database
        self.rules = output_of([program, "--version"]) + (root / ".clang-tidy").read_text()
        cache.mkdir(parents=True, exist_ok=True)

    def stamp(self, entry: Json) -> Path:
        """The file that exists if this source was clean: named after all that clang-tidy reads, comments included."""
        words = shlex.split(entry["command"])
        end = words.index("-o") if "-o" in words else words.index("-c")
        command = [*words[:end], "-E", "-P", "-C", entry["file"]]
        text = subprocess.run(command, cwd=entry["directory"], capture_output=True).stdout
        return self.cache / hashlib.sha256(text + self.rules.encode()).hexdigest()

    def check(self, entry: Json) -> tuple[bool, str]:
        """Whether the source is clean, and what clang-tidy found."""
        stamp = self.stamp(entry)
        if stamp.exists():
            return True, ""
        command = [self.program, "--quiet", f"--config-file={self.root / '.clang-tidy'}", "-p", str(self.database)]
        done = subprocess.run([*command, entry["file"]], capture_output=True, text=True)
        if done.returncode == 0:
            stamp.touch()
            return True, ""
        # stderr only counts the warnings of other headers, unless clang-tidy itself fails.
        return False, done.stdout or done.stderr


def tidy(*rooms: str, program: str, build: Path, cache: Path, jobs: int, root: Path) -> None:
    """Check every source of ROOMS, by default of all rooms without LibTorch, and print the findings and the time."""
    chosen = list(rooms) or rooms_without_torch(root / "cmake/Rooms.cmake")
    entries: list[Json] = read_json(build / "compile_commands.json")
    entries = [entry for entry in entries if is_checked(Path(entry["file"]), root, chosen)]
    if not entries:
        fail(f"{build}/compile_commands.json: expected sources of {' '.join(chosen)} below {root}, found none")
    begin, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as database, ThreadPoolExecutor(jobs) as pool:
        for entry in entries:
            entry["command"] = command_for_clang(entry["command"])
        write_json(Path(database) / "compile_commands.json", entries)
        for is_clean, output in pool.map(Checker(program, root, cache, Path(database)).check, entries):
            failed += not is_clean
            print(output, end="", flush=True)
    seconds = time.monotonic() - begin
    print(f"clang-tidy: {len(entries)} files of {', '.join(chosen)}; {failed} with findings; {seconds:.0f} s")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_command(tidy)
