"""Scores texts with a small model, kept from a flaky server; some texts leak, one crashes."""

import ctypes
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

log = logging.getLogger(__name__)

RETRY = (ConnectionError,)
LEAK_BYTES = 4_000_000
leaked: list[bytes] = []

Model = dict[str, int]


def items(inputs: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield a text under its own name."""
    return ((text, text) for text in inputs)


@contextmanager
def lifespan(index: int) -> Iterator[Model]:
    """Load the model, once in each worker."""
    model: Model = json.loads(Path("model.json").read_text(encoding="utf-8"))
    log.info("model loaded in place %d", index)
    yield model
    log.info("model put away")


def work(text: str, model: Model) -> dict[str, int]:
    """Return a text's score, plus what the server says of it."""
    print(f"scoring {text}")  # noqa: T201 - it is to be found in the log
    if text.startswith("leak"):
        leaked.append(os.urandom(LEAK_BYTES))
    if text == "crash":
        ctypes.string_at(0)
    score = sum(model.get(word, 0) for word in text.split("-"))
    if text.startswith("ask"):
        score += asked(text)
    return {"score": score, "leaked": len(leaked)}


def asked(text: str) -> int:
    """Ask the server, which drops a connection now and then."""
    with closing(HTTPConnection(os.environ["SERVER"], timeout=10)) as server:
        server.request("GET", f"/{text}")
        return int(server.getresponse().read())
