#!/usr/bin/env python3
"""Holds every #include against the plan of the house in cmake/Rooms.cmake.

A room (src/ROOM, include/esmscale/ROOM, tests/ROOM) may include itself and the rooms it uses, directly or through
another; a room without TORCH includes nothing of LibTorch. A header in include/ is public: another room includes it,
directly or through another public header. Every other header lies next to its source, and only its own room, its
tests, or tests of a room that uses it include it. The plan permits nothing that nobody uses. src/main.cpp counts as
part of cli, and src/openmp_wait.cpp is in no room. Exit status 1 and one line for each breach.
"""

import argparse
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

ROOM = re.compile(r"^esmscale_room\((.*?)\)", re.M | re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
TORCH = re.compile(r"^(ATen|c10|torch|caffe2)/")
KEYWORDS = {"TORCH", "USES", "LIBRARIES"}
SOURCES = {".h", ".cpp", ".cu", ".cuh"}
OF_SEVERAL_ROOMS = {"support", "fuzz"}  # folders of tests
OF_NO_ROOM = {"src/openmp_wait.cpp"}


class Room(NamedTuple):
    named: set[str]  # the rooms that its line names
    allowed: set[str]  # those, the rooms that they may use, and itself
    torch: bool  # it may see LibTorch


class Include(NamedTuple):
    header: str
    room: str | None  # that the header belongs to
    is_public: bool


Plan = dict[str, Room]


def read_plan(rooms_cmake: pathlib.Path) -> tuple[Plan, list[str]]:
    """The plan, and what is wrong with it."""
    plan: Plan = {}
    faults = []
    for call in ROOM.findall(rooms_cmake.read_text()):
        name, *words = call.split()
        named: set[str] = set()
        allowed, section = {name}, None
        for word in words:
            if word in KEYWORDS:
                section = word
            elif section == "USES":
                if word not in plan:
                    faults.append(f"{rooms_cmake}: {name} uses {word}, which is not above it")
                    continue
                named.add(word)
                allowed |= plan[word].allowed
        plan[name] = Room(named, allowed, "TORCH" in words)
    return plan, faults


def room_of(path: pathlib.Path, root: pathlib.Path) -> str | None:
    parts = path.relative_to(root).parts
    if parts == ("src", "main.cpp"):
        return "cli"
    depth = {"src": 1, "tests": 1, "include": 2, "benchmarks": 0}[parts[0]]
    return parts[depth] if len(parts) > depth + 1 or depth == 0 else None


def includes_of(path: pathlib.Path, root: pathlib.Path) -> Iterator[Include]:
    for quote, header in INCLUDE.findall(path.read_text(errors="replace")):
        first = header.split("/")[0]
        if header.startswith("esmscale/"):
            yield Include(header, header.split("/")[1], True)
        elif quote == '"' and (root / "src" / header).is_file() and "/" in header:
            yield Include(header, first, False)
        else:
            yield Include(header, None, False)


def faults_in(path: pathlib.Path, room: str, plan: Plan, root: pathlib.Path) -> Iterator[str]:
    _, allowed, torch = plan[room]
    is_test = path.relative_to(root).parts[0] == "tests"
    for header, other, is_public in includes_of(path, root):
        if other is not None and other not in allowed:
            yield f"{path}: {room} may not include {other} ({header})"
        elif other not in (None, room) and not is_public and not is_test:
            yield f"{path}: {header} is private to {other}"
        elif TORCH.match(header) and not torch:
            yield f"{path}: {room} is a room without LibTorch ({header})"


def unused(files: list[pathlib.Path], plan: Plan, root: pathlib.Path) -> Iterator[str]:
    """Permissions that no include uses, and public headers that no other room includes."""
    used: dict[str, set[str | None]] = {room: set() for room in plan}
    public: dict[str, set[str]] = {}
    direct = set()
    for path in files:
        room, headers = room_of(path, root), list(includes_of(path, root))
        top = path.relative_to(root).parts[0]
        if room in used:
            used[room].update(other for _, other, _ in headers)
        if top == "include":
            public[path.relative_to(root / "include").as_posix()] = {
                header for header, _, is_public in headers if is_public
            }
        if top != "tests":
            direct |= {header for header, other, is_public in headers if is_public and other != room}
    for room, (named, *_) in plan.items():
        yield from (
            f"cmake/Rooms.cmake: {room} may use {other}, but never includes it" for other in sorted(named - used[room])
        )
    needed: set[str] = set()
    todo = [header for header in direct if header in public]
    while todo:
        header = todo.pop()
        if header not in needed:
            needed.add(header)
            todo.extend(public[header] & public.keys())
    yield from (
        f"include/{header}: no other room includes it; it belongs next to its source"
        for header in sorted(public.keys() - needed)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    root = parser.parse_args().root
    plan, faults = read_plan(root / "cmake/Rooms.cmake")
    files = [
        p
        for top in ("src", "include", "tests", "benchmarks")
        for p in sorted((root / top).rglob("*"))
        if p.suffix in SOURCES
    ]
    for path in files:
        room = room_of(path, root)
        if room in plan:
            faults.extend(faults_in(path, room, plan, root))
        elif room is not None and path.relative_to(root).parts[0] != "benchmarks" and room not in OF_SEVERAL_ROOMS:
            faults.append(f"{path}: cmake/Rooms.cmake knows no room '{room}'")
        elif room is None and str(path.relative_to(root)) not in OF_NO_ROOM:
            faults.append(f"{path}: a source in no room")
    faults.extend(unused(files, plan, root))
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(files)} files, {len(plan)} rooms, {len(faults)} breaches of the plan")
    return 1 if faults or not files or not plan else 0


if __name__ == "__main__":
    sys.exit(main())
