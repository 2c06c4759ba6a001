"""Exit status 0 if the modules that are named can be imported, 1 if not."""

import importlib
import sys

from esmtools.commands import run_command


def can_import(*modules: str) -> None:
    """End with status 0 if every module of MODULES can be imported, 1 if not."""
    try:
        for module in modules:
            importlib.import_module(module)
    except Exception:  # a library that lacks another one may raise anything
        sys.exit(1)


if __name__ == "__main__":
    run_command(can_import)
