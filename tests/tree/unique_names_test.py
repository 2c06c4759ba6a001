"""A name is defined once: two types or functions of one name in namespace esmscale are undefined behaviour as soon as one
program holds both, and the compiler cannot see it. Names of unnamed namespaces are their files' own.
"""

import collections
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
TYPE = re.compile(r"(?:template <[^>]*>\s*)?(?:struct|class|enum class|enum) (\w+)(?: final)?(?: :[^:].*)?(?: \{|$)")
FUNCTION = re.compile(r"(?:inline |constexpr )*[\w:<>,&* ]+ [&*]?(\w+)\((.*)\)(?: noexcept)? \{")


def definitions(text):
    """Full names of types, and of functions with their parameters' types, that other files could meet."""
    spaces, found = [], []
    for line in text.split("\n"):
        opened = re.match(r"namespace ([\w:]*) ?\{", line)
        if opened:
            spaces.append(opened.group(1) or "unnamed")
        elif re.match(r"\}  // namespace", line) and spaces:
            spaces.pop()
        if not spaces or "unnamed" in spaces or line.startswith((" ", "template")):
            continue
        kind, function = TYPE.match(line), FUNCTION.match(line)
        if kind and not line.rstrip().endswith(";"):
            found.append("::".join([*spaces, kind.group(1)]))
        elif function:
            parameters = re.sub(r" \w+(?=,|$)", "", function.group(2))
            found.append("::".join([*spaces, f"{function.group(1)}({parameters})"]))
    return found


def files():
    return [path for folder in ("include", "src") for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".h", ".cpp", ".cu")]


class UniqueNames(unittest.TestCase):
    def test_finds_definitions(self):
        text = ("namespace a {\nnamespace {\nstruct Own {\n}\n}  // namespace\nstruct Two {\nint x;\n};\nclass Later;\n"
                "inline int f(int x, Two y) {\n}\n}  // namespace a\n")
        self.assertEqual(definitions(text), ["a::Two", "a::f(int, Two)"])

    def test_each_is_defined_once(self):
        places = collections.defaultdict(set)
        for path in files():
            for name in definitions(path.read_text()):
                places[name].add(str(path.relative_to(ROOT)))
        self.assertGreater(len(places), 200)
        twice = {name: sorted(found) for name, found in places.items() if len(found) > 1}
        self.assertEqual(twice, {}, "rename one, or put it into an unnamed namespace")


if __name__ == "__main__":
    unittest.main()
