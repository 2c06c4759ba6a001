"""Runs clang-tidy on the sources of the rooms without LibTorch."""

import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from esmtools.commands import run_command
from esmtools.results import Json, fail, read_json, write_json

ROOM = re.compile(r"^esmscale_room\((\S+)\s*([^)]*)\)", re.MULTILINE)
GCC_ONLY = {"-fpch-preprocess", "-Winvalid-pch"}  # flags that clang does not know


def rooms_without_torch(rooms_cmake: Path) -> list[str]:
    return [name for name, words in ROOM.findall(rooms_cmake.read_text()) if "TORCH" not in words.split()]


def is_checked(source: Path, root: Path, rooms: list[str]) -> bool:
    """A C++ source (no CUDA) of one of the rooms."""
    return source.suffix == ".cpp" and any(source.is_relative_to(root / "src" / room) for room in rooms)


def command_for_clang(command: str) -> str:
    """Without the compiler launcher and the flags that only GCC knows."""
    words = command.split()
    compiler = next(i for i, word in enumerate(words) if re.search(r"(g\+\+|clang\+\+|c\+\+)(-\d+)?$", word))
    return " ".join(word for word in words[compiler:] if word not in GCC_ONLY)


def check(program: str, database: Path, source: str) -> tuple[bool, str, float]:
    """Whether the source is clean, what clang-tidy found, and the seconds that it took."""
    begin = time.monotonic()
    done = subprocess.run([program, "--quiet", "-p", str(database), source], capture_output=True, text=True)
    # stderr only counts the warnings of system headers, unless clang-tidy itself fails.
    output = done.stdout if done.stdout else done.stderr if done.returncode else ""
    return done.returncode == 0, output, time.monotonic() - begin


def tidy(*rooms: str, program: str, build: Path, jobs: int, root: Path) -> None:
    """Check every source of ROOMS, by default of all rooms without LibTorch, and print the findings and the time."""
    chosen = list(rooms) or rooms_without_torch(root / "cmake/Rooms.cmake")
    entries: list[Json] = read_json(build / "compile_commands.json")
    entries = [entry for entry in entries if is_checked(Path(entry["file"]), root, chosen)]
    if not entries:
        fail(f"{build}/compile_commands.json: expected sources of {' '.join(chosen)} below {root}, found none")
    begin, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        database = Path(folder)
        commands = [{**entry, "command": command_for_clang(entry["command"])} for entry in entries]
        write_json(database / "compile_commands.json", commands)
        sources = [entry["file"] for entry in entries]
        for is_clean, output, _ in pool.map(lambda source: check(program, database, source), sources):
            failed += not is_clean
            print(output, end="")
    seconds = time.monotonic() - begin
    print(f"clang-tidy: {len(sources)} files of {', '.join(chosen)}; {failed} with findings; {seconds:.0f} s")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_command(tidy)
