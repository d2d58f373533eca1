"""Does one task, item by item, for a worker or a thread."""

import json
import os
import pickle
import threading
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from typing import Any
from weakref import WeakSet

from ..system.errors import describe
from ..system.memory import PeakMemory
from .messages import IDLE, Report, Task, whole_task

Work = Callable[[Any], Any]

TO_JSON = json.JSONEncoder(allow_nan=False).encode
"""Rejects NaN and infinity, which JSON lacks, so that every reader accepts the export."""

TEXT = frozenset({str})
SIMPLE = frozenset({str, int, float, bool, type(None)})
"""Types that contain no other values; checked by ``issuperset``, many at a time."""

STRIDE_SECONDS = 0.0001
"""Seconds between two readings of the clock, or one for each longer item: a reading costs time."""
STRIDE_ITEMS = 1_000
STRIDE_GROWTH = 4


class TaskRunner:
    """The current task of a worker, shared by its work thread and its control thread.

    The work thread takes items from the left, the control thread releases them from the right.
    Each such step is one operation on a deque, which is atomic; so an item is either done here or
    released, never both. The lock is this process's own and is held for moments, never during
    an item.
    """

    def __init__(
        self, work: Work, slot: MutableSequence[int], index: int, revoked: Sequence[int] = ()
    ) -> None:
        """Write the number of the current item into ``slot[index]``, for main to read.

        Main writes into ``revoked[index]`` the first number that may still be begun: so it can
        take items back while one holds the GIL and the control thread cannot run.
        """
        self.work, self.slot, self.index = work, slot, index
        self.retry: tuple[type[BaseException], ...] = ()
        """Exceptions of ``work`` that are worth another attempt."""
        self.revoked = revoked or [0] * (index + 1)
        self.first = self.end = self.sent = 0
        self.todo: deque[Any] = deque()
        self.names = ""
        self.keys: list[str] = []
        """The task's keys, taken apart once one is asked for."""
        self.results: list[str] = []
        self.errors: dict[int, str] = {}
        self.retryable: list[int] = []
        self.seconds = array("d")
        """Seconds that each item took; items of one stride share an average."""
        self.stride, self.each = 1, 0.0
        self.begun = self.start = self.clock = self.sent_at = 0.0
        self.cpu, self.peak = cpu_seconds(), PeakMemory()
        self.lock = threading.Lock()
        _runners.add(self)

    def unpack(self, task: Task) -> None:
        """Unpickle a task, and prepare to run it.

        Raises:
            Exception: Whatever unpickling its payloads raises.
        """
        self.slot[self.index] = whole_task(task.first)
        payloads = pickle.loads(task.blob)
        with self.lock:
            self.results, self.errors, self.seconds = [], {}, array("d")
            self.retryable = []
            self.first, self.end, self.sent = task.first, task.first + task.count, 0
            self.begun, self.start = time.time(), time.perf_counter()
            self.clock = self.sent_at = self.start
            self.todo, self.names, self.keys = deque(payloads), task.keys, []

    def run(self) -> None:
        """Run the items, stride by stride, unless main revokes them."""
        go_on = True
        while go_on and self.todo:
            go_on = self._run_some(self.stride)
            with self.lock:
                self._clock_in(at_hand=False)
        self.slot[self.index], self.names = whole_task(self.first), ""

    @property
    def key(self) -> str:
        """The current item's key, if the task contains keys; empty between tasks."""
        if not (names := self.names):
            return ""
        if not self.keys:
            self.keys = names.split("\0")
        return self.keys[min(len(self.results), len(self.keys) - 1)]

    def _run_some(self, count: int) -> bool:
        """Run ``count`` items; record an exception, of whatever kind, as its item's error.

        The slot is written before ``revoked`` is read, main does it the other way round: so either
        main sees that an item was begun, or this sees that it was revoked.

        Returns:
            Whether the next item may be begun.
        """
        work, slot, index, take = self.work, self.slot, self.index, self.todo.popleft
        revoked, done, next_one = self.revoked, self.results.append, self.first + len(self.results)
        for number in range(next_one, next_one + count):
            try:
                payload = take()
            except IndexError:
                break
            slot[index] = number
            if number < revoked[index]:
                self.todo.appendleft(payload)
                return False
            try:
                result = work(payload)
                # For an int, what json writes, without the 1 µs that setting up an encoder takes.
                done(repr(result) if type(result) is int else as_json(result))
            except BaseException as error:
                self.errors[number - self.first] = describe(error)
                if isinstance(error, self.retry):
                    self.retryable.append(number - self.first)
                done("")
        return True

    def _clock_in(self, *, at_hand: bool) -> None:
        """Record the durations of the items that were done since the last call.

        Args:
            at_hand: Whether another item has begun since; it may be a slow one, and its time must
                not count for those before it.
        """
        if not (new := len(self.results) - len(self.seconds)):
            return
        each = (time.perf_counter() - self.clock) / new
        if at_hand:
            each = min(each, self.each)
        else:
            self.each = each
            fitting = int(STRIDE_SECONDS / max(each, 1e-9))
            self.stride = max(1, min(fitting, self.stride * STRIDE_GROWTH, STRIDE_ITEMS))
        self.seconds.extend([each] * new)
        self.clock += each * new

    def report(self, *, again: bool = False) -> Report | None:
        """Return a report on the items done since the last one; None if there are none.

        Args:
            again: Whether to report all done items of this task, also those reported before.
        """
        with self.lock:
            if again:
                self.sent, self.sent_at = 0, self.start
            next_one = self.first + len(self.results)
            self._clock_in(at_hand=self.slot[self.index] == next_one)
            start, stop = self.sent, len(self.seconds)
            if start == stop:
                return None
            began, self.sent, self.sent_at = self.sent_at, stop, self.clock
            errors = self.errors.copy()
            cpu, self.cpu = self.cpu, cpu_seconds()
            return Report(
                first=self.first + start,
                results="\n".join(self.results[start:stop]),
                started=self.begun + (began - self.start),
                elapsed=self.clock - began,
                seconds=self.seconds[start:stop],
                errors={at - start: errors[at] for at in errors if start <= at < stop},
                retryable=[at - start for at in self.retryable if start <= at < stop],
                cpu=self.cpu - cpu,
                peak_memory=self.peak.read(),
            )

    def forget(self) -> None:
        """Drop all tasks, in a child that ``work`` forked and may return: its parent does them."""
        self.todo.clear()
        self.slot = [IDLE] * (self.index + 1)

    def release(self) -> range:
        """Release the items of this task that are not begun; return their numbers."""
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


def as_json(result: Any) -> str:
    """Return a result as JSON text.

    Raises:
        ValueError: Two keys of one of its dicts are the same in JSON, such as 1 and "1".
        Exception: Whatever else the encoder raises, and the owner's classes.
    """
    text = TO_JSON(result)
    if "{" in text and (key := _clash(result)):
        raise ValueError(f"two keys of a dict are both {key} in JSON")
    return text


def _clash(result: Any) -> str:
    """Return a JSON key that two keys of one dict share; empty if there is none."""
    todo = [result]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if not TEXT.issuperset(map(type, value)) and (twice := _same_in_json(value)):
                return twice
            value = value.values()
        elif not isinstance(value, (list, tuple)):
            continue
        if not SIMPLE.issuperset(map(type, value)):
            todo.extend(value)
    return ""


def _same_in_json(keys: Iterable[Any]) -> str:
    names = Counter(TO_JSON({key: 0})[1:].rpartition(":")[0] for key in keys)
    return next((name for name, times in names.items() if times > 1), "")


def cpu_seconds() -> float:
    """Return the processor time that this process and its ended children have taken."""
    return sum(os.times()[:4])


_runners: WeakSet[TaskRunner] = WeakSet()


def _forget_all() -> None:
    for runner in list(_runners):
        runner.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
