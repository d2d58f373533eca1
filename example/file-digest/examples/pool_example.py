"""Pool: worker processes that take calls of a function.

When to use it: a loop over many items that can run in parallel, in a script that somebody watches.

What it cannot survive: a killed worker. The pool starts another, but the result of the item at hand
never comes (https://github.com/python/cpython/issues/66587): map() waits for ever. Hence a timeout.
"""

import logging
import os
import subprocess
import sys
import time
from multiprocessing import Pool, TimeoutError, get_start_method  # noqa: A004 - its own kind
from pathlib import Path
from tempfile import TemporaryDirectory

from one_log import configure_worker, one_log

log = logging.getLogger(__name__)

UNGUARDED = """
from multiprocessing import get_context
process = get_context({method!r}).Process(target=print, args=("it ran",))
process.start()
process.join()
"""


def square(number: int) -> int:
    """Return the square of a number."""
    log.info("squaring %d", number)
    return number * number


def die(_: int) -> None:
    """End as if out of memory."""
    os._exit(137)  # at once, as SIGKILL does, which Windows does not have


def unguarded(method: str) -> str:
    """Run a script that starts a process outside of ``if __name__ == "__main__":``.

    spawn and forkserver import the script again in the new process, which would start a process
    again, and so on: multiprocessing refuses that.
    """
    with TemporaryDirectory() as folder:
        script = Path(folder, "unguarded.py")
        script.write_text(UNGUARDED.format(method=method))
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    return "RuntimeError" if "RuntimeError" in done.stderr else done.stdout.strip()


def main() -> None:
    """Call one function many times, in every way that a pool offers."""
    with one_log(__doc__) as logs, Pool(2, configure_worker, (logs,)) as pool:
        print("map, in order:", pool.map(square, range(10)))
        print("imap_unordered, as they come:", sorted(pool.imap_unordered(square, range(10))))
        print("apply_async, one call:", pool.apply_async(square, (7,)).get(timeout=30))
        slow, killed = pool.apply_async(time.sleep, (60,)), pool.apply_async(die, (0,))
        for name, result in (("a slow item", slow), ("a killed worker's item", killed)):
            try:
                result.get(timeout=0.5)
            except TimeoutError as error:
                print(f"{name}: {type(error).__name__}")
        print("without the __main__ guard:", unguarded(get_start_method()))


if __name__ == "__main__":
    main()
