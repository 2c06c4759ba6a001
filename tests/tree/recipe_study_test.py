"""What scripts/recipe_study.sh computes. Oracle: values worked out here."""

import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from esmtools.study.recipe_runs import Run, Size, sweep
from esmtools.study.recipe_summary import multiple_for, paired

SIZE = Size(2, 64, 4, 1000)


class Sweeps(unittest.TestCase):
    def swept(self, losses: dict[float, float]) -> tuple[list[float], float | None]:
        runs = [Run(SIZE, (), rate) for rate in (2.0, 1.0, 4.0)]
        named = {Run(SIZE, (), rate).name: loss for rate, loss in losses.items()}
        wanted, best = sweep(runs, "lr", named)
        return [run.lr for run in wanted], best.lr if best else None

    def test_the_best_has_a_worse_one_on_either_side(self) -> None:
        self.assertEqual(self.swept({2: 2.5, 1: 2.6, 4: 2.7}), ([2, 1, 4], 2))

    def test_an_end_that_is_best_is_passed(self) -> None:
        self.assertEqual(self.swept({2: 2.5, 1: 2.4, 4: 2.7}), ([2, 1, 4, 0.5], None))
        self.assertEqual(self.swept({2: 2.5, 1: 2.4, 4: 2.7, 0.5: 2.45}), ([2, 1, 4, 0.5], 1))
        self.assertEqual(self.swept({2: 2.5, 1: 2.6, 4: 2.4}), ([2, 1, 4, 8], None))


class Factors(unittest.TestCase):
    CURVE = {1: 2.70, 2: 2.68, 4: 2.67}

    def test_tokens_lie_on_the_line_between_two_runs(self) -> None:
        self.assertAlmostEqual(multiple_for(0.01, self.CURVE), math.sqrt(2))
        self.assertAlmostEqual(multiple_for(0.025, self.CURVE), 2 * math.sqrt(2))

    def test_beyond_the_last_run_they_lie_on_its_line(self) -> None:
        self.assertAlmostEqual(multiple_for(0.04, self.CURVE), 8)

    def test_a_level_curve_has_a_bound(self) -> None:
        self.assertAlmostEqual(multiple_for(0.5, {1: 2.70, 2: 2.69, 4: 2.69}), 1e6)

    def test_differences_are_paired_by_sequence(self) -> None:
        # Differences of 1 and 3 over 2 + 2 positions: 1 a position, residuals −1 and 1.
        found = paired([(5.0, 2), (9.0, 2)], [(4.0, 2), (6.0, 2)])
        self.assertAlmostEqual(found["value"], 1)
        self.assertAlmostEqual(found["error"], math.sqrt(2 * 2 / 1) / 4)


if __name__ == "__main__":
    unittest.main()
