"""One bout: `python -m benchmarks.bout SUITE CONTESTANT OPTIONS FOLDER`."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .harness import Suite

if __name__ == "__main__":
    name, contestant, options, folder = sys.argv[1:]
    suite = cast("Suite", import_module(f"benchmarks.{name}"))
    figures = suite.measure(contestant, json.loads(options), Path(folder))
    Path(folder, "figures.json").write_text(json.dumps(figures), "utf-8")
