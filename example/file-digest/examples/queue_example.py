"""Queue: any number of processes put objects in, any number take them out.

When to use it: tasks for several workers, results from several workers, when none of them may be
killed half-way.

What it cannot survive: a process that is killed while it puts or gets. It dies with the queue's
lock, and from then on everybody else waits for ever (see logging_queue_example.py).
"""

import logging
from multiprocessing import Process, Queue
from typing import Any

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)

WAIT_SECONDS = 30.0


def square(logs: LogSetup, tasks: "Queue[int | None]", results: "Queue[Any]") -> None:
    """Take numbers until None comes; put each with its square."""
    configure_worker(logs)
    while (number := tasks.get(timeout=WAIT_SECONDS)) is not None:
        results.put((number, number * number))
        log.info("%d done", number)


def say(results: "Queue[Any]", thing: Any) -> None:
    """Put one object."""
    results.put(thing)


def main() -> None:
    """Send objects through queues, whatever they are, in both directions."""
    with one_log(__doc__) as logs:
        tasks: Queue[int | None] = Queue()
        results: Queue[Any] = Queue()
        speaker = Process(target=say, args=(results, [42, None, "hello"]))
        speaker.start()
        print("an object arrives as it was:", results.get(timeout=WAIT_SECONDS))
        speaker.join()

        workers = [Process(target=square, args=(logs, tasks, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for number in range(10):
            tasks.put(number)
        # Get before join: a process that has put something ends only after somebody got it,
        # https://docs.python.org/3/library/multiprocessing.html#joining-processes-that-use-queues
        squares = dict(results.get(timeout=WAIT_SECONDS) for _ in range(10))
        for _ in workers:
            tasks.put(None)
        for worker in workers:
            worker.join()
        print("two workers made the squares:", [squares[number] for number in range(10)])


if __name__ == "__main__":
    main()
