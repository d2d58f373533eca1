"""The job in a worker: ``work``, and the optional names ``lifespan`` and ``RETRY``."""

import importlib
import logging
import multiprocessing
import os
import sys
from types import ModuleType

from ..system.errors import describe
from ..system.inheritance import survive_readers
from ..system.text import text_of
from .messages import ContractError
from .refusals import JOB

log = logging.getLogger(__name__)


def load_job() -> ModuleType:
    """Import the job; it may choose multiprocessing's start method, as it could without us.

    By now multiprocessing has settled on one, for its forkserver or for a worker, and would refuse.

    Raises:
        BaseException: Whatever the job's import raises.
    """
    if JOB not in sys.modules:
        multiprocessing.set_start_method(None, force=True)
    try:
        return importlib.import_module(JOB)
    finally:
        survive_readers()


class WorkerJob:
    """The job in a worker: its ``work``, with the resource of its ``lifespan``, if it has one."""

    def __init__(self, job: ModuleType, index: int) -> None:
        """Set up, in the thread that is to do the items.

        Raises:
            ContractError: ``lifespan`` returned no context manager, or see ``retry_types``.
            BaseException: Whatever the owner's code raises.
        """
        self.pid, self.context, self.work = os.getpid(), None, job.work
        self.retry = retry_types(job)
        if lifespan := getattr(job, "lifespan", None):
            context = lifespan(index)
            if not hasattr(type(context), "__enter__"):
                raise ContractError(
                    "lifespan() must return a context manager (is @contextmanager missing above "
                    f"it?), but it returned {text_of(context):.200}"
                )
            work, resource = job.work, context.__enter__()
            self.context, self.work = context, lambda payload: work(payload, resource)

    @property
    def has_lifespan(self) -> bool:
        """Whether there is anything to tear down."""
        return self.context is not None

    def end(self) -> None:
        """Run the teardown, once, and not in a child that ``work`` forked; log its error."""
        context, self.context = self.context, None
        if context is None or os.getpid() != self.pid:
            return
        try:
            context.__exit__(None, None, None)
        except BaseException as error:
            log.error("lifespan() raised at its end:\n%s", describe(error))  # noqa: TRY400 - all in one


def retry_types(job: ModuleType) -> tuple[type[BaseException], ...]:
    """Return what the job's ``RETRY`` names: exceptions that are worth another attempt.

    Raises:
        ContractError: It is no tuple of exception types.
    """
    types = getattr(job, "RETRY", ())
    if isinstance(types, tuple) and all(_is_exception_type(kind) for kind in types):
        return types
    raise ContractError(
        "RETRY must be a tuple of exception types, such as (ConnectionError,), but it is "
        f"{text_of(types):.200}"
    )


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)
