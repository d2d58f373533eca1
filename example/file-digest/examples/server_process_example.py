"""Manager: a server process holds Python objects, others work on them through proxies.

When to use it: shared state of any type, changed rarely, also from other machines. Each access is
a message there and back, some 10,000 times slower than a variable.

What it cannot survive: the death of the server process, which takes all the objects with it. That
of a client it survives. An authkey keeps strangers out; it encrypts nothing.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from functools import cache
from multiprocessing import AuthenticationError, Manager, Process, active_children, current_process
from multiprocessing.managers import BaseManager, DictProxy, ListProxy

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)


class Counter:
    """Counts. The server has a thread for each client, so it needs a lock: a thread's, there."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.count, self.lock = 0, threading.Lock()

    def add(self, number: int) -> int:
        """Add to the count and return it."""
        with self.lock:
            self.count += number
            return self.count


@cache
def the_counter() -> Counter:
    """Return the server's one counter, the same for every client."""
    return Counter()


class Office(BaseManager):
    """A server of our own."""

    counter: Callable[[], Counter]


Office.register("counter", the_counter, exposed=["add"])


def sign(logs: LogSetup, names: "ListProxy[str]", ages: "DictProxy[str, int]", age: int) -> None:
    """Write into a list and a dict that live in the server."""
    configure_worker(logs)
    name = current_process().name
    names.append(name)
    ages[name] = age
    log.info("signed")


def visit(logs: LogSetup, address: tuple[str, int], authkey: bytes) -> None:
    """Use the counter of a server that is found by its address."""
    configure_worker(logs)
    office = Office(address, authkey)
    office.connect()
    log.info("the count is %d", office.counter().add(1))


def show_manager(logs: LogSetup) -> None:
    """Share a list and a dict."""
    with Manager() as manager:
        names, ages = manager.list(), manager.dict()
        for name, age in (("ann", 30), ("bob", 40)):
            process = Process(target=sign, name=name, args=(logs, names, ages, age))
            process.start()
            process.join()
        print(f"Manager: {list(names)} signed, their ages are {dict(ages)}")


def show_office(logs: LogSetup) -> None:
    """Serve a class of our own over an address, to those who know the key."""
    authkey = secrets.token_bytes()
    with Office(("127.0.0.1", 0), authkey) as office:
        visitors = [Process(target=visit, args=(logs, office.address, authkey)) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        print(f"BaseManager: 3 processes counted to {office.counter().add(0)}")
        try:
            Office(office.address, b"a guess").connect()
        except AuthenticationError as error:
            print(f"without the key: {type(error).__name__}")
        for child in active_children():
            if child.name.startswith("Office"):
                child.kill()
                child.join()
        try:
            Office(office.address, authkey).connect()
        except ConnectionRefusedError as error:
            print(f"without the server: {type(error).__name__}")


def main() -> None:
    """Share built-in types, then a class of our own."""
    with one_log(__doc__) as logs:
        show_manager(logs)
        show_office(logs)


if __name__ == "__main__":
    main()
