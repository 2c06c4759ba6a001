"""Every relative link in the tree's Markdown leads to a file. Oracle: the file system."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


class Links(unittest.TestCase):
    def test_relative_links_lead_somewhere(self):
        pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")]
        links = [(page, link) for page in pages for link in LINK.findall(page.read_text()) if "://" not in link]
        self.assertTrue(links)
        broken = [f"{page}: {link}" for page, link in links if not (page.parent / link).exists()]
        self.assertEqual(broken, [])


if __name__ == "__main__":
    unittest.main()
