#!/usr/bin/env python3
"""Holds every #include against the plan of the house in cmake/Rooms.cmake.

A room (src/ROOM, include/esmscale/ROOM, tests/ROOM) may include itself and the rooms it uses, directly or through
another; a room without TORCH includes nothing of LibTorch. src/main.cpp counts as part of cli. Exit status 1 and
one line for each include that the plan forbids.
"""

import pathlib
import re
import sys

ROOM = re.compile(r"^esmscale_room\((.*?)\)", re.M | re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
TORCH = re.compile(r"^(ATen|c10|torch|caffe2)/")
KEYWORDS = {"TORCH", "USES", "LIBRARIES"}


def read_plan(rooms_cmake):
    """{room: (rooms it may include, whether it may see LibTorch)}, and what is wrong with the plan itself."""
    plan, faults = {}, []
    for call in ROOM.findall(rooms_cmake.read_text()):
        name, *words = call.split()
        uses, section = set(), None
        for word in words:
            if word in KEYWORDS:
                section = word
            elif section == "USES":
                if word not in plan:
                    faults.append(f"{rooms_cmake}: {name} uses {word}, which does not stand above it")
                    continue
                uses |= plan[word][0]
        plan[name] = (uses | {name}, "TORCH" in words)
    return plan, faults


def room_of(path, root):
    parts = path.relative_to(root).parts
    if parts == ("src", "main.cpp"):
        return "cli"
    depth = {"src": 1, "tests": 1, "include": 2}[parts[0]]
    return parts[depth] if len(parts) > depth + 1 else None


def faults_in(path, room, plan):
    allowed, torch = plan[room]
    for header in INCLUDE.findall(path.read_text(errors="replace")):
        if header.startswith("esmscale/"):
            other = header.split("/")[1]
            if other not in allowed:
                yield f"{path}: {room} may not include {other} ({header})"
        elif TORCH.match(header) and not torch:
            yield f"{path}: {room} is a room without LibTorch ({header})"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    plan, faults = read_plan(root / "cmake/Rooms.cmake")
    files = [p for top in ("src", "include", "tests") for p in sorted((root / top).rglob("*"))
             if p.suffix in {".h", ".cpp", ".cu", ".cuh"}]
    for path in files:
        room = room_of(path, root)
        if room in plan:
            faults.extend(faults_in(path, room, plan))
        elif room is not None:
            faults.append(f"{path}: cmake/Rooms.cmake knows no room '{room}'")
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(files)} files, {len(plan)} rooms, {len(faults)} breaches of the plan")
    return 1 if faults or not files or not plan else 0


if __name__ == "__main__":
    sys.exit(main())
