"""A plain script without a service: a pool, a loop, a print."""

import multiprocessing
import sys

from digest_process.job import items, work


def digest(item: tuple[str, str]) -> tuple[str, object]:
    """Do one file."""
    key, payload = item
    return key, work(payload)


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for path, result in pool.imap_unordered(digest, items(sys.argv[1:2]), int(sys.argv[2])):
            print(path, result)  # noqa: T201 - its output is what it is for
