"""Loggers of the job's own: louder, quieter, with a filter, and one that is switched off."""

import logging
from collections.abc import Sequence

loud, quiet, strict = (logging.getLogger(f"mine.{n}") for n in ("loud", "quiet", "strict"))
loud.setLevel(logging.DEBUG)
quiet.setLevel(logging.ERROR)
strict.addFilter(lambda record: "secret" not in record.getMessage())
off = logging.getLogger("mine.off")
off.disabled = True


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    return [("a", 1)]


def work(n: int) -> None:
    logging.getLogger("mine.plain").debug("not seen: plain")
    loud.debug("seen: loud")
    quiet.warning("not seen: quiet")
    strict.info("not seen: secret")
    strict.info("seen: strict")
    off.error("not seen: off")
