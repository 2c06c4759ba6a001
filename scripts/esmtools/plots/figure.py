"""matplotlib, which only those who draw pictures need, and how a picture is saved."""

import re
import sys
from pathlib import Path
from typing import Any

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#7a4fb5"


def pyplot(picture: Path) -> Any:
    """matplotlib.pyplot, or None with a line that names the picture that is skipped."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print(f"skipped: {picture} is not drawn, because Python has no matplotlib here", file=sys.stderr)
        return None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "esmscale"  # the same names inside the file every time
    matplotlib.rcParams["svg.fonttype"] = "none"  # letters stay letters
    import matplotlib.pyplot

    return matplotlib.pyplot


def save(figure: Any, picture: Path, content: str = "") -> None:
    """The same bytes for the same figure and version of matplotlib; `content` is kept in the file's description."""
    metadata = {"Date": None, "Creator": None, "Description": content or None}
    figure.savefig(picture, format="svg", bbox_inches="tight", metadata=metadata)
    # Trailing spaces of its path data.
    picture.write_text(re.sub(r"[ \t]+$", "", picture.read_text(), flags=re.MULTILINE))


def content_of(picture: Path) -> str:
    """The description that `save` kept, or an empty text."""
    found = re.search(r"<dc:description>(.*?)</dc:description>", picture.read_text()) if picture.is_file() else None
    return found.group(1) if found else ""
