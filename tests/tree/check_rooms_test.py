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


def check(files, plan=PLAN):
    with tempfile.TemporaryDirectory() as root:
        for name, content in {"cmake/Rooms.cmake": plan, **files}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        run = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
        return run.returncode, run.stdout


class CheckRooms(unittest.TestCase):
    def test_a_room_may_include_itself_and_what_stands_below(self):
        status, out = check({
            "src/top/a.cpp": '#include "esmscale/top/a.h"\n#include "esmscale/ground/a.h"\n#include <ATen/ATen.h>\n',
            "include/esmscale/middle/a.h": '#include "esmscale/ground/a.h"\n'})
        self.assertEqual((status, out), (0, "2 files, 3 rooms, 0 breaches of the plan\n"))

    def test_an_include_from_above_is_named(self):
        for name in ("src/middle/a.cpp", "include/esmscale/middle/a.h", "tests/middle/a_test.cpp"):
            status, out = check({name: '#include "esmscale/top/a.h"\n'})
            self.assertEqual(status, 1)
            self.assertIn("middle may not include top", out)

    def test_libtorch_in_a_room_without_it_is_named(self):
        status, out = check({"src/ground/a.cpp": "#include <c10/core/Device.h>\n"})
        self.assertEqual(status, 1)
        self.assertIn("ground is a room without LibTorch", out)

    def test_an_unknown_room_is_named(self):
        status, out = check({"src/attic/a.cpp": ""})
        self.assertEqual(status, 1)
        self.assertIn("no room 'attic'", out)

    def test_a_plan_that_uses_a_room_from_above_is_named(self):
        status, out = check({"src/low/a.cpp": ""}, "esmscale_room(low USES high)\nesmscale_room(high)\n")
        self.assertEqual(status, 1)
        self.assertIn("low uses high", out)


if __name__ == "__main__":
    unittest.main()
