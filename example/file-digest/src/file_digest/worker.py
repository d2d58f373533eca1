"""What runs inside a worker process: one task at a time, item by item."""

import json
import os
import pickle
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, MutableSequence, Sequence
from itertools import pairwise
from typing import Any

from .messages import Report, Task

Work = Callable[[Any], Any]

IDLE = -1
"""In a worker's slot: it holds no item."""


def whole_task(first: int) -> int:
    """Return what a slot holds while its worker unpacks or sends a task: no single item."""
    return -2 - first


class Bench:
    """The task that a worker has at hand, as its work thread and its control thread see it.

    The work thread takes items from the left, the control thread gives them back from the right.
    Each such step is one operation on a deque, which is atomic; so an item is either done here or
    given back, never both. The lock is this process's own and is held for moments, never during
    an item.
    """

    def __init__(
        self, work: Work, slot: MutableSequence[int], index: int, revoked: Sequence[int] = ()
    ) -> None:
        """Write the number of the item at hand into ``slot[index]``, for main to read.

        Main writes into ``revoked[index]`` the first number that may still be begun: so it can
        take items back while one holds the GIL and the control thread cannot run.
        """
        self.work, self.slot, self.index = work, slot, index
        self.revoked = revoked or [0] * (index + 1)
        self.first = self.end = self.sent = 0
        self.todo: deque[Any] = deque()
        self.results: list[str | None] = []
        self.errors: dict[int, str] = {}
        self.ends: list[float] = []
        self.begun = self.clock = 0.0
        self.cpu = cpu_seconds()
        self.lock = threading.Lock()

    def unpack(self, task: Task) -> None:
        """Lay out a task.

        Raises:
            Exception: Whatever unpickling its payloads raises.
        """
        self.slot[self.index] = whole_task(task.first)
        payloads = pickle.loads(task.blob)
        with self.lock:
            self.results, self.errors, self.ends = [], {}, []
            self.first, self.end, self.sent = task.first, task.first + task.count, 0
            self.begun, self.clock = time.time(), time.perf_counter()
            self.todo = deque(payloads)

    def do(self) -> None:
        """Do the items one by one; what one raises, KeyboardInterrupt included, is its error.

        The slot is written before ``revoked`` is read, main does it the other way round: so either
        main sees that an item was begun, or this sees that it was revoked.
        """
        work, slot, index, take = self.work, self.slot, self.index, self.todo.popleft
        revoked = self.revoked
        results, ends, now, number = self.results, self.ends, time.perf_counter, self.first
        while True:
            try:
                payload = take()
            except IndexError:
                break
            slot[index] = number
            if number < revoked[index]:
                self.todo.appendleft(payload)
                break
            try:
                results.append(to_json(work(payload)))
            except BaseException as error:
                self.errors[number - self.first] = describe(error)
                results.append(None)
            ends.append(now())
            number += 1
        slot[index] = whole_task(self.first)

    def report(self) -> Report | None:
        """Return what was done since the last report, or None if that is nothing."""
        with self.lock:
            start, stop = self.sent, len(self.ends)
            if start == stop:
                return None
            self.sent = stop
            ends = [self.ends[start - 1] if start else self.clock, *self.ends[start:stop]]
            errors = self.errors.copy()
            cpu, self.cpu = self.cpu, cpu_seconds()
            return Report(
                first=self.first + start,
                results=self.results[start:stop],
                started=self.begun + (ends[0] - self.clock),
                seconds=[end - begin for begin, end in pairwise(ends)],
                errors={at - start: errors[at] for at in errors if start <= at < stop},
                cpu=self.cpu - cpu,
            )

    def give_back(self) -> range:
        """Give up the items of this task that are not begun; return their numbers."""
        with self.lock:
            taken = 0
            while self.todo:
                try:
                    self.todo.pop()
                except IndexError:
                    break  # the work thread was faster
                taken += 1
            self.end -= taken
            return range(self.end, self.end + taken)


def cpu_seconds() -> float:
    """Return the processor time that this process and its ended children have taken."""
    return sum(os.times()[:4])


def to_json(value: object) -> str:
    """Return a result as JSON text.

    Raises:
        TypeError: The value, or something in it, is nothing that JSON can write.
        ValueError: It contains itself.
    """
    if type(value) is int:
        return repr(value)  # what json writes, without the 1 µs that setting up an encoder takes
    return json.dumps(value)


def describe(error: BaseException) -> str:
    """Return an exception as text, with its traceback and causes, whatever it does to hinder it."""
    first = error.__traceback__.tb_next if error.__traceback__ else None  # without our own frame
    try:
        return "".join(traceback.format_exception(type(error), error, first)).rstrip("\n")
    except BaseException as trouble:  # its __str__, or a cause's, may raise anything
        return f"{type(error).__name__} (cannot be shown: {type(trouble).__name__})"
