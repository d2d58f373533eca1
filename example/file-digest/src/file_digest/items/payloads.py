"""Freeze payloads when they are yielded: the owner may reuse one object for the next item."""

import pickle
from collections.abc import Callable
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, NoReturn

from ..system.errors import describe
from ..system.text import text_of
from .messages import ContractError, Item

FIXED = frozenset(
    {
        *(int, str, bytes, float, bool, complex, type(None)),
        *(PosixPath, WindowsPath, PurePosixPath, PureWindowsPath),
    }
)
"""Immutable types, without subclasses; values of them, and flat tuples of such, are not copied."""


class UnsendableError(Exception):
    """A payload does not pickle; the message says why."""


class Pickled:
    """A mutable payload as it was when it was yielded; it unpickles to the payload itself."""

    __slots__ = ("blob",)

    def __init__(self, payload: Any) -> None:
        """Pickle a payload.

        Raises:
            BaseException: Whatever the owner's types raise.
        """
        self.blob = pickle.dumps(payload, pickle.HIGHEST_PROTOCOL)

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        """Travel inside a task's one pickle."""
        return pickle.loads, (self.blob,)


class Unsendable:
    """Stands for a payload that does not pickle, until its item fails."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason

    def __reduce__(self) -> NoReturn:
        """Fail the item, where it is about to be sent.

        Raises:
            UnsendableError: Always.
        """
        raise UnsendableError(self.reason)


KEPT = FIXED | {Pickled, Unsendable}


def frozen(pair: Any) -> Item:
    """Return an item of ``items()`` in a form that later changes of its payload do not affect.

    Raises:
        ContractError: It is no pair of a str and a payload.
    """
    kind = type(pair)
    if (kind is tuple or isinstance(pair, (tuple, list))) and len(pair) == 2:
        key, payload = pair
        if type(key) is str:
            if kind is tuple and type(payload) in KEPT:
                return pair  # type: ignore[no-any-return] # it is one
            return key, _frozen_payload(payload)
        if isinstance(key, str):
            return str.__str__(key), _frozen_payload(payload)
    raise ContractError(
        f"items() must yield (str key, payload) tuples, but it gave {text_of(pair):.200}"
    )


def _frozen_payload(payload: Any) -> Any:
    kind = type(payload)
    if kind in KEPT or (kind is tuple and FIXED.issuperset(map(type, payload))):
        return payload
    try:
        return Pickled(payload)
    except BaseException as error:  # the owner's types: what they raise is an outcome
        return Unsendable(describe(error))
