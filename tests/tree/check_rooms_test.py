"""scripts/check_rooms.py on small trees. Oracle: breaches written by hand, each of which it must name."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "check_rooms.py"
PLAN = """
esmscale_room(ground LIBRARIES some::thing)
esmscale_room(middle USES ground)
esmscale_room(top TORCH USES middle)
"""

# A tree without a breach.
WHOLE = {
    "src/ground/a.cpp": "",
    "include/esmscale/ground/a.h": "",
    "src/middle/a.cpp": '#include "middle/own.h"\n#include "esmscale/ground/a.h"\n',
    "src/middle/own.h": "",
    "include/esmscale/middle/a.h": "",
    "src/top/a.cpp": '#include "esmscale/middle/a.h"\n',
}


def check(files: dict[str, str], plan: str = PLAN) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as root:
        for name, content in {"cmake/Rooms.cmake": plan, **files}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        run = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
        return run.returncode, run.stdout


class CheckRooms(unittest.TestCase):
    def test_a_room_may_include_itself_and_the_rooms_below(self) -> None:
        status, out = check({**WHOLE, "src/top/b.cpp": '#include "esmscale/ground/a.h"\n#include <ATen/ATen.h>\n'})
        self.assertEqual((status, out), (0, "7 files, 3 rooms, 0 breaches of the plan\n"))

    def test_a_private_header_of_another_room_is_named(self) -> None:
        status, out = check({**WHOLE, "src/top/b.cpp": '#include "middle/own.h"\n'})
        self.assertEqual(status, 1)
        self.assertIn("middle/own.h is private to middle", out)

    def test_a_test_may_include_private_headers_of_the_rooms_that_it_uses(self) -> None:
        status, out = check({**WHOLE, "tests/top/b_test.cpp": '#include "middle/own.h"\n'})
        self.assertEqual(status, 0, out)

    def test_a_source_in_no_room_is_named(self) -> None:
        status, out = check({**WHOLE, "src/stray.cpp": ""})
        self.assertEqual(status, 1)
        self.assertIn("src/stray.cpp: a source in no room", out)

    def test_a_permission_that_nobody_uses_is_named(self) -> None:
        status, out = check({**WHOLE, "src/middle/a.cpp": ""} | {"include/esmscale/middle/a.h": ""})
        self.assertEqual(status, 1)
        self.assertIn("middle may use ground, but never includes it", out)

    def test_a_public_header_that_only_its_room_includes_is_named(self) -> None:
        status, out = check({**WHOLE, "include/esmscale/top/a.h": "", "src/top/b.cpp": '#include "esmscale/top/a.h"\n'})
        self.assertEqual(status, 1)
        self.assertIn("include/esmscale/top/a.h: no other room includes it", out)

    def test_a_header_that_another_public_header_includes_is_public(self) -> None:
        status, out = check(
            {
                **WHOLE,
                "include/esmscale/middle/a.h": '#include "esmscale/middle/b.h"\n',
                "include/esmscale/middle/b.h": "",
            }
        )
        self.assertEqual(status, 0, out)

    def test_an_include_from_above_is_named(self) -> None:
        for name in ("src/middle/a.cpp", "include/esmscale/middle/a.h", "tests/middle/a_test.cpp"):
            status, out = check({name: '#include "esmscale/top/a.h"\n'})
            self.assertEqual(status, 1)
            self.assertIn("middle may not include top", out)

    def test_libtorch_in_a_room_without_it_is_named(self) -> None:
        status, out = check({"src/ground/a.cpp": "#include <c10/core/Device.h>\n"})
        self.assertEqual(status, 1)
        self.assertIn("ground is a room without LibTorch", out)

    def test_an_unknown_room_is_named(self) -> None:
        status, out = check({"src/attic/a.cpp": ""})
        self.assertEqual(status, 1)
        self.assertIn("no room 'attic'", out)

    def test_a_plan_that_uses_a_room_from_above_is_named(self) -> None:
        status, out = check({"src/low/a.cpp": ""}, "esmscale_room(low USES high)\nesmscale_room(high)\n")
        self.assertEqual(status, 1)
        self.assertIn("low uses high", out)


if __name__ == "__main__":
    unittest.main()
