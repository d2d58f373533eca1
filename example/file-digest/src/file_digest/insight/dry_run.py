"""``run --dry-run``: the keys of the items that a run would do."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing import connection

from ..items.backlog import Backlog
from ..items.job_options import call_of
from ..items.messages import StoppedError
from ..items.refusals import items_error
from ..results.database import JournalError
from ..results.known import final
from ..results.preview import preview
from ..settings import Settings
from ..startup import begin_items, import_job
from ..system.errors import RefusedError
from ..system.signals import StopRequest

LOOK_SECONDS = 1.0


def keys_to_do(settings: Settings, inputs: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the items that a run would do; touch no file.

    Raises:
        RefusedError, StoppedError, ItemsError, WorkersCannotStartError: See ``run``.
    """
    job, stop = import_job(settings, _log_nothing), StopRequest(settings.grace)
    call = call_of(job.items, inputs, settings.job_option)
    left_out = final(retry_failed=settings.retry_failed, redo=settings.redo)
    try:
        with (
            stop.listening(),
            closing(begin_items(call, None, stop, _log_nothing)) as source,
            preview(settings.results, left_out) as unfinished,
        ):
            backlog = Backlog(source, unfinished, settings.max_attempts)
            backlog.left = settings.limit
            source.read()
            while not (backlog.exhausted or stop.requested):
                backlog.fill()
                pending = backlog.take_pending()
                yield from [key for key, _ in pending]
                if not (pending or backlog.exhausted):
                    connection.wait([stop.waker], LOOK_SECONDS)
                    stop.clear_waker()
            if stop.requested:
                raise StoppedError(stop.signals[0])
            if source.error:
                raise items_error(source.error, refused=source.refused)
    except JournalError as error:
        raise RefusedError(f"--results: {error}") from error


def _log_nothing(_text: str) -> None:
    """Leave the log alone: no file is to be touched."""
