"""The job's optional ``lifespan``: set-up and teardown around all items of a worker."""

import logging
import os
from types import ModuleType

from ..system.errors import describe
from ..system.text import text_of
from .messages import ContractError

log = logging.getLogger(__name__)


class Lifespan:
    """What ``lifespan(index)`` set up in this process, and ``work`` with it; both as in the job."""

    def __init__(self, job: ModuleType, index: int) -> None:
        """Set up, in the thread that is to do the items.

        Raises:
            ContractError: ``lifespan`` returned no context manager.
            BaseException: Whatever the owner's code raises.
        """
        self.pid, self.context, self.work = os.getpid(), None, job.work
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
    def to_end(self) -> bool:
        """Whether there is anything to tear down."""
        return self.context is not None

    def end(self) -> None:
        """Tear down, once, and not in a child that ``work`` forked; log what that raises."""
        context, self.context = self.context, None
        if context is None or os.getpid() != self.pid:
            return
        try:
            context.__exit__(None, None, None)
        except BaseException as error:
            log.error("lifespan() raised at its end:\n%s", describe(error))  # noqa: TRY400 - all in one
