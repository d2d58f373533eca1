"""The digest of each file below some folders; ``-`` is for names on standard input."""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in inputs:
        if name != "-":
            os.stat(name)
        elif not sys.stdin:
            raise ValueError("standard input is closed")
    return ((path, path) for name in inputs for path in _files(name))


def _files(name: str) -> Iterator[str]:
    if name == "-":
        yield from map(str.strip, sys.stdin)
    else:
        yield from (str(path) for path in sorted(Path(name).rglob("*")) if path.is_file())


def work(payload: str) -> dict[str, object]:
    content = Path(payload).read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
