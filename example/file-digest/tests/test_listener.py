"""The listener writes all, is replaced when it dies, and leaves last; in real processes."""

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from file_digest import listener as listener_module
from file_digest.configurer import configure_worker
from file_digest.listener import RESTART_SECONDS, Listener
from file_digest.log import hooks
from file_digest.settings import Settings
from file_digest.system import processes
from file_digest.system.inheritance import SIGKILL

from .support.service import kill_process, wait_for

log = logging.getLogger("test")

TRANSPORTS = ["pipe", "queue"]


@pytest.fixture
def make_listener(tmp_path: Path) -> Iterator[Callable[..., Listener]]:
    """Start listeners that this process logs to, and put its own logging back afterwards."""
    made, factory = list[Listener](), logging.getLogRecordFactory()

    def make(transport: str, **options: Any) -> Listener:
        settings = Settings(
            workers=1, results=tmp_path / "results.db", log_file=tmp_path / "logs" / "the.log",
            log_transport=transport, **options,  # type: ignore[arg-type]
        )  # fmt: skip
        made.append(Listener(settings))
        made[-1].start()
        configure_worker(made[-1].setup)
        return made[-1]

    yield make
    logging.captureWarnings(False)
    logging.setLogRecordFactory(factory)
    hooks.use()
    for listener in made:
        if listener.process and listener.process.exitcode is None:
            listener.process.kill()
            listener.process.join()


def keep(listener: Listener) -> bool:
    """Look after a listener; return whether it lives."""
    listener.ensure_running()
    return listener.process is not None and listener.process.exitcode is None


def messages(folder: Path) -> list[str]:
    """Return what the log holds, without times and names."""
    text = (folder / "logs" / "the.log").read_text()
    return [line.split(maxsplit=5)[-1] for line in text.splitlines()]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_everything_is_written_before_it_leaves(
    make_listener: Callable[..., Listener], tmp_path: Path, transport: str
) -> None:
    """Records of this moment are in the file when stop returns, in order."""
    listener = make_listener(transport)
    for number in range(3_000):
        log.info("%d", number)
    assert listener.stop(10.0)
    assert messages(tmp_path) == [str(number) for number in range(3_000)]


def test_a_listener_that_died_is_replaced(
    make_listener: Callable[..., Listener], tmp_path: Path
) -> None:
    """Records of that time are in the log, and the log says what happened."""
    listener = make_listener("pipe")
    for number in range(3):
        assert listener.process
        kill_process(listener.process.pid or 0)
        wait_for(lambda: listener.process and listener.process.exitcode is not None, "its end")
        log.info("%d", number)
        began = time.monotonic()
        wait_for(lambda: keep(listener), "a new one")
        assert time.monotonic() - began < RESTART_SECONDS + 0.5
    assert listener.stop(10.0)
    told = messages(tmp_path)
    assert [line for line in told if line.isdigit()] == ["0", "1", "2"]
    assert sum("the log listener died (SIGKILL)" in line for line in told) == 3


def test_a_listener_that_cannot_be_replaced_now_is_replaced_later(
    make_listener: Callable[..., Listener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run does not end because the system has no process to spare for a moment."""
    listener = make_listener("pipe")
    assert listener.process
    kill_process(listener.process.pid or 0)
    wait_for(lambda: listener.process and listener.process.exitcode is not None, "its end")

    def refuse(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(listener_module, "start_process", refuse)
        patch.setattr(listener_module, "RESTART_SECONDS", 0)
        listener.ensure_running()
    assert listener.stop(10.0)
    assert any("cannot be replaced" in line for line in messages(tmp_path))


def test_at_the_end_another_is_started_once_there_is_room(
    make_listener: Callable[..., Listener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that dies when no process is to be had costs time but neither a record nor the run."""
    listener, refused = make_listener("pipe"), list[object]()
    assert listener.process
    log.info("before")
    kill_process(listener.process.pid or 0)
    wait_for(lambda: listener.process and listener.process.exitcode is not None, "its end")
    start_process = processes.start_process

    def refuse(*args: Any) -> Any:
        if len(refused) == 3:
            return start_process(*args)
        refused.append(args)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(listener_module, "start_process", refuse)
    assert listener.stop(10.0)
    assert messages(tmp_path) == ["before"]


if sys.platform != "win32":

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
    def test_another_finishes_the_work_of_one_that_does_not_leave(
        make_listener: Callable[..., Listener], tmp_path: Path, number: int
    ) -> None:
        """Killed or stopped at the end, it costs time but no record."""
        listener = make_listener("pipe")
        log.info("before")
        assert listener.process
        kill_process(listener.process.pid or 0, number)
        log.info("after")
        assert listener.stop(4.0)
        assert messages(tmp_path) == ["before", "after"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_opens_its_file_again_when_told(
    make_listener: Callable[..., Listener], tmp_path: Path, transport: str
) -> None:
    """Records after a rename are in a new file."""
    listener, path = make_listener(transport), tmp_path / "logs" / "the.log"
    log.info("before")
    wait_for(lambda: path.exists() and path.stat().st_size, "a record")
    path.rename(tmp_path / "renamed")
    listener.ensure_running(reopen=True)
    while not path.exists():
        log.info("after")
    log.info("after")
    assert listener.stop(10.0)
    assert "before" in (tmp_path / "renamed").read_text()
    assert set(messages(tmp_path)) == {"after"}


if sys.platform != "win32":

    def test_it_is_told_to_open_its_file_again_once_it_can_be(
        make_listener: Callable[..., Listener], tmp_path: Path
    ) -> None:
        """A pipe that is full when the signal comes does not make it forgotten."""
        listener, path = make_listener("pipe"), tmp_path / "logs" / "the.log"
        log.info("before")
        wait_for(lambda: path.exists() and path.stat().st_size, "a record")
        path.rename(tmp_path / "renamed")
        assert listener.process
        kill_process(listener.process.pid or 0, signal.SIGSTOP)
        while listener.transport.has_room():
            log.info("full")
        listener.ensure_running(reopen=True)
        kill_process(listener.process.pid or 0, signal.SIGCONT)
        wait_for(lambda: keep(listener) and path.exists(), "the new log")
        assert listener.stop(10.0)


def test_a_full_disk_does_not_keep_it_from_leaving_with_main(
    service: Callable[..., Any],
) -> None:
    """Main is killed while nothing can be written: the listener gives up soon after."""
    one = service("endless_log")
    one.log.parent.mkdir()
    one.log.symlink_to("/dev/full")
    run = one.start("--workers", "1")
    assert "cannot be written: No space left" in run.process.stderr.readline()
    run.send(SIGKILL)
    run.wait_until_gone(4.0)
