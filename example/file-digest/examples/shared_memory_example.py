"""Value, Array and SharedMemory: the same bytes in several processes.

When to use it: numbers that several processes see change, or large data that would be slow to copy.
``RawValue`` and ``RawArray`` are the same without a lock, for data that only one process writes.

What it cannot survive: Value and Array come with a lock; a process that is killed while it holds it
blocks the others for ever. SharedMemory has none, but it stays until somebody calls unlink().
"""

import logging
from multiprocessing import Array, Process, Value
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING

from one_log import LogSetup, configure_worker, one_log

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized, SynchronizedArray

log = logging.getLogger(__name__)

NUMBERS = 1000
BYTES_EACH = 8


def add(
    logs: LogSetup, count: "Synchronized[int]", halves: "SynchronizedArray[float]", at: int
) -> None:
    """Add to a shared counter, and write one's own part of a shared array."""
    configure_worker(logs)
    for _ in range(1000):
        with count.get_lock():  # += alone is a read and a write, and others come in between
            count.value += 1
    halves[at : at + 2] = [at / 2, at / 2 + 0.5]
    log.info("wrote places %d and %d", at, at + 1)


def numbers_in(memory: SharedMemory) -> "memoryview[int]":
    """See the bytes as whole numbers; nothing is copied."""
    if memory.buf is None:
        raise ValueError("the memory is closed already")
    return memory.buf.cast("q")


def square_all(logs: LogSetup, name: str) -> None:
    """Square numbers in place, in memory that is found by its name."""
    configure_worker(logs)
    memory = SharedMemory(name)
    with numbers_in(memory) as numbers:
        for at in range(NUMBERS):
            numbers[at] *= numbers[at]
    memory.close()
    log.info("squared %d numbers without copying one", NUMBERS)


def show_value_and_array(logs: LogSetup) -> None:
    """Two processes add to one number, and fill an array together."""
    count: Synchronized[int] = Value("q", 0)
    halves: SynchronizedArray[float] = Array("d", 4)
    processes = [Process(target=add, args=(logs, count, halves, at)) for at in (0, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(f"Value: 2 processes added 1000 each, that makes {count.value}")
    print(f"Array: each wrote its part: {halves[:]}")


def show_shared_memory(logs: LogSetup) -> None:
    """Another process works on our numbers, where they are."""
    memory = SharedMemory(create=True, size=NUMBERS * BYTES_EACH)
    try:
        with numbers_in(memory) as numbers:
            for at in range(NUMBERS):
                numbers[at] = at
            process = Process(target=square_all, args=(logs, memory.name))
            process.start()
            process.join()
            print(f"SharedMemory: the last of {NUMBERS} numbers is now {numbers[NUMBERS - 1]}")
        memory.close()
    finally:
        memory.unlink()


def main() -> None:
    """Show small shared state, then large."""
    with one_log(__doc__) as logs:
        show_value_and_array(logs)
        show_shared_memory(logs)


if __name__ == "__main__":
    main()
