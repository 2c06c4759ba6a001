"""The page of published points (scripts/esmtools/study/published.py) says what the laws say, and no more."""

import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from esmtools.study import published

REFUTED = {"supported": False, "why": "refuted"}
FRONTIERS = [
    {"name": "Serrano et al. 2024", "a": 0.27, "b": 0.71},
    {"name": "Cheng et al. 2024", "a": 0.776, "b": 0.23},
]


def laws(a: float, low: float, high: float, supported: bool = True) -> Any:
    """Approach 2 alone, with a and its interval, and b = 1 − a."""
    verdict = {"supported": True, "why": "yes"} if supported else REFUTED
    return {
        "version": "1",
        "bootstrap": {"draws": 7},
        "published": FRONTIERS,
        "warnings": ["the approaches disagree: 1M, 9M"] if supported else [],
        "planning": {
            "approach": "approach2" if supported else None,
            "approaches": dict.fromkeys(published.APPROACHES, REFUTED) | {"approach2": verdict},
        },
        "approach2": {
            "a": a,
            "b": 1 - a,
            "intervals": {"a": [low, high], "b": [1 - high, 1 - low]},
            "lack_of_fit": {"rms": 0.01, "ratio": 1, "held_out_error": None},
        },
        "approach1": None,
        "approach3": None,
        "kaplan": {"L_ND": None},
        "leverage": {
            "approach2": {
                "a": a,
                "parameters": 123e6,
                "without_run": [{"run": "r1", "a": a + 0.01}, {"run": "r2", "a": None}],
                "without_budget": [{"budget": "1e+18", "a": a - 0.2}],
            }
        },
        "sensitivity": [{"approach": "approach2", "flop_count": "6nd", "a": a}],
        "runs": [{"flops": 1e20}],
    }


class Published(unittest.TestCase):
    def test_the_answer_follows_the_intervals(self) -> None:
        answer = published.answer_of(published.Fit("cheng_mlm_isoflop", laws(0.745, 0.65, 0.9)))
        self.assertIn("approach 2 0.745 (0.650 to 0.900)", answer)
        self.assertIn("0.27 lies outside every interval", answer)
        self.assertIn("at least one interval holds 0.776", answer)
        self.assertIn("with N and D exchanged", answer)
        other = published.answer_of(published.Fit("chinchilla_245", laws(0.3, 0.2, 0.4)))
        self.assertIn("inside the interval", other)
        self.assertIn("No interval holds", other)
        self.assertNotIn("exchanged", other)
        none = published.answer_of(published.Fit("nanoprot_esm2", laws(0.3, 0.2, 0.4, supported=False)))
        self.assertIn("No approach is supported", none)

    def test_the_page_has_every_set(self) -> None:
        fits = [published.Fit(name, laws(0.5, 0.4, 0.6)) for name in published.SETS]
        page = published.page_of(fits)
        for title, command in published.SETS.values():
            self.assertIn(f"| {title} | approach 2 | 0.500 (0.400 to 0.600) |", page)
            self.assertIn(f"--points {command} --bootstrap 7", page)
            self.assertIn(f"{title}: the approaches disagree: 1M, 9M", page)
        self.assertIn("without budget 1e+18, which matters most, 0.300", page)
        self.assertIn("| planned from |", page)


if __name__ == "__main__":
    unittest.main()
