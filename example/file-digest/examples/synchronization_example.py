"""Lock, RLock, Semaphore, BoundedSemaphore, Event, Condition and Barrier, between processes.

When to use it: processes of one machine that take turns or wait for each other, none of which is
ever killed.

What it cannot survive: a process that is killed while it holds one of them. Nobody releases it, so
everybody else waits for ever. Give every wait a timeout. The service shares none of these.
"""

import logging
import multiprocessing as mp
import sys
import time
from collections.abc import Callable
from ctypes import c_longlong
from multiprocessing.sharedctypes import RawValue
from multiprocessing.synchronize import Barrier, Condition, Event, Lock, RLock, Semaphore
from typing import Any

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)

WAIT_SECONDS = 30.0


def run(target: Callable[..., None], *args: Any, processes: int) -> list[int | None]:
    """Run a function in several processes at once; return their exit codes."""
    started = [mp.Process(target=target, args=args) for _ in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join(WAIT_SECONDS)
    return [process.exitcode for process in started]


def add(lock: Lock, total: c_longlong) -> None:
    """Read, add, write back: three steps that nobody may come between."""
    for _ in range(1000):
        with lock:
            total.value += 1


def factorial(lock: RLock, number: int) -> int:
    """Take the lock again while holding it."""
    with lock:
        return 1 if number < 2 else number * factorial(lock, number - 1)


def enter(room: Semaphore, pair: Barrier, lock: Lock, inside: c_longlong, most: c_longlong) -> None:
    """Enter a room for two, and leave when there are two."""
    with room:
        with lock:
            inside.value += 1
            most.value = max(most.value, inside.value)
        pair.wait(WAIT_SECONDS)
        with lock:
            inside.value -= 1


def wait_for_start(logs: LogSetup, start: Event) -> None:
    """Wait until main says so."""
    configure_worker(logs)
    sys.exit(0 if start.wait(WAIT_SECONDS) else 1)


def take_turns(changed: Condition, turn: c_longlong, mine: int) -> None:
    """Add one whenever the number is odd, or even, until it is 6."""
    with changed:
        while turn.value < 6:
            if not changed.wait_for(
                lambda: turn.value % 2 == mine or turn.value >= 6, WAIT_SECONDS
            ):
                sys.exit(1)
            if turn.value < 6:
                turn.value += 1
                changed.notify_all()


def meet(logs: LogSetup, barrier: Barrier) -> None:
    """Wait until all are here; exit with one's place in the order of arrival."""
    configure_worker(logs)
    place = barrier.wait(WAIT_SECONDS)
    log.info("all are here, I was number %d", place)
    sys.exit(place)


def hold(lock: Lock, held: Event) -> None:
    """Take a lock and keep it."""
    with lock:
        held.set()
        time.sleep(WAIT_SECONDS)


def show_locks() -> None:
    """One at a time, one at a time but again, two at a time."""
    total, inside, most = RawValue(c_longlong), RawValue(c_longlong), RawValue(c_longlong)
    run(add, mp.Lock(), total, processes=4)
    print(f"Lock: 4 processes added 1000 each, that makes {total.value}")
    print(f"RLock: its holder takes it again, five times for 5! = {factorial(mp.RLock(), 5)}")
    run(enter, mp.Semaphore(2), mp.Barrier(2), mp.Lock(), inside, most, processes=4)
    print(f"Semaphore: of 4 processes at most {most.value} were in the room for 2")
    try:
        mp.BoundedSemaphore(2).release()
    except ValueError as error:
        print(f"BoundedSemaphore: {error}")


def show_waiting(logs: LogSetup) -> None:
    """For a moment, for a state, for each other."""
    start = mp.Event()
    waiting = mp.Process(target=wait_for_start, args=(logs, start))
    waiting.start()
    start.set()
    waiting.join(WAIT_SECONDS)
    print(f"Event: whoever waited saw it set, exit code {waiting.exitcode}")
    changed, turn = mp.Condition(), RawValue(c_longlong)
    players = [mp.Process(target=take_turns, args=(changed, turn, mine)) for mine in (0, 1)]
    for player in players:
        player.start()
    for player in players:
        player.join(WAIT_SECONDS)
    print(f"Condition: two processes took turns up to {turn.value}")
    places = run(meet, logs, mp.Barrier(3), processes=3)
    print(f"Barrier: 3 processes met, in places {sorted(place or 0 for place in places)}")


def show_a_killed_holder() -> None:
    """Show what no primitive survives."""
    lock, held = mp.Lock(), mp.Event()
    holder = mp.Process(target=hold, args=(lock, held))
    holder.start()
    held.wait(WAIT_SECONDS)
    holder.kill()
    holder.join()
    print(f"Lock of a killed process: can it be had? {lock.acquire(timeout=0.3)}")


def main() -> None:
    """Show each primitive at work, then with its holder killed."""
    with one_log(__doc__) as logs:
        show_locks()
        show_waiting(logs)
        show_a_killed_holder()


if __name__ == "__main__":
    main()
