"""``--preload``: how often the job is imported, and what comes of an import that goes wrong."""

import json
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from file_digest.settings import start_methods
from file_digest.system.inheritance import SIGKILL

from .support.service import Run, Service, kill_process, report, wait_for

pytestmark = pytest.mark.skipif("forkserver" not in start_methods(), reason="needs a forkserver")

Services = Callable[..., Service]

JOB = """
    import atexit, ctypes, gc, json, logging, multiprocessing, os, sys, threading, time
    from pathlib import Path

    HERE = Path(__file__).parent
    NAME = multiprocessing.current_process().name
    IN_FORKSERVER = NAME == "forkserver"
    IN_CHILD = multiprocessing.parent_process() is not None

    def note(file, *words):
        with (HERE / file).open("a") as notes:
            notes.write(json.dumps(words) + "\\n")

    note("imports", NAME)
    AT_IMPORT

    def items(inputs):
        note("called")
        return ((f"item-{number}", number) for number in range(20))

    def work(payload):
        while (HERE / "wait").exists():
            time.sleep(0.01)
        return gc.get_freeze_count()
"""
INPUT = Path(__file__)
NEVER = "time.sleep(600)"
HOLDING_THE_GIL = "ctypes.PyDLL(None).sleep(600)"


def job(at_import: str = "pass") -> str:
    """Return a job that notes its imports, and does this besides."""
    return JOB.replace("AT_IMPORT", at_import)


def notes(service: Service, file: str) -> list[Any]:
    """Return what the job noted."""
    path = service.package / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def imports(service: Service) -> Counter[str]:
    """Return how often the job was imported: in main, in forkservers and in workers."""
    return Counter(re.sub(r"-\d+", "", name) for (name,) in notes(service, "imports"))


def forkserver_of(run: Run) -> int:
    """Return the process id of the run's forkserver."""
    for child in psutil.Process(run.process.pid).children():
        if "multiprocessing.forkserver" in " ".join(child.cmdline()):
            return child.pid
    return 0


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--preload", {"MainProcess": 1, "forkserver": 1}),
        ("--no-preload", {"MainProcess": 1, "worker": 3}),
    ],
)
def test_job_is_imported_so_often(service: Services, option: str, expected: dict[str, int]) -> None:
    """With it main and the forkserver import the job, and no worker, however many there are."""
    one = service(job())
    (one.package / "wait").touch()
    run = one.start(option, "--workers", "3")
    wait_for(lambda: len(run.worker_pids()) == 3, "the workers")
    (one.package / "wait").unlink()
    finished = run.wait()
    assert (finished.code, one.count()) == (0, 20), finished.stderr
    assert imports(one) == expected
    frozen = [one.result(key) > 0 for key in one.outcomes()]
    assert set(frozen) == {option == "--preload"}


def test_successor_of_a_killed_forkserver_preloads(service: Services) -> None:
    """Workers that start after the forkserver was killed have the job from the next one."""
    one = service(job())
    (one.package / "wait").touch()
    run = one.start("--preload", "--workers", "2")
    wait_for(lambda: len(run.worker_pids()) == 2, "the workers")
    first = set(run.worker_pids())
    kill_process(forkserver_of(run))
    for pid in first:
        kill_process(pid)
    wait_for(lambda: len(first.symmetric_difference(run.worker_pids())) >= 2, "their successors")
    (one.package / "wait").unlink()
    finished = run.wait()
    assert (finished.code, one.count()) == (0, 20), finished.stderr
    assert imports(one) == {"MainProcess": 1, "forkserver": 2}
    report("forkserver killed that has the job", tries=1, seconds=finished.seconds)


BAD_IMPORTS = [
    ("raises", "raise ValueError('no luck')", 3, "ValueError: no luck"),
    ("leaves", "raise SystemExit(5)", 3, "SystemExit: 5"),
    ("raises but for main", "if IN_CHILD: raise ValueError('no luck')", 3, "ValueError: no luck"),
    ("ends its process but for main", "if IN_CHILD: os._exit(7)", 3, "worker died: exit code 7"),
    ("hangs but for main", f"if IN_CHILD: {NEVER}", 3, "not ready after 1 s"),
    ("raises in the forkserver", "if IN_FORKSERVER: raise ValueError('no luck')", 0, "no luck"),
    ("ends the forkserver", "if IN_FORKSERVER: os._exit(7)", 0, "the forkserver died"),
    ("hangs in the forkserver", f"if IN_FORKSERVER: {NEVER}", 0, "longer than --start-timeout"),
    ("holds its GIL", f"if IN_FORKSERVER: {HOLDING_THE_GIL}", 0, "longer than --start-timeout"),
]


@pytest.mark.parametrize(
    ("what", "at_import", "code", "reason"), BAD_IMPORTS, ids=[row[0] for row in BAD_IMPORTS]
)
def test_import_goes_wrong(
    service: Services, what: str, at_import: str, code: int, reason: str
) -> None:
    """The run ends as without the option; where main alone can import the job, the log says why."""
    ends = set[tuple[int, str]]()
    for option in ("--no-preload", "--preload"):
        one = service(job(at_import))
        seconds = "60" if "600" not in at_import else "1" if code else "5"
        finished = one.run(option, "--workers", "1", "--start-timeout", seconds)
        assert "Traceback" not in finished.stderr
        ends.add((finished.code, finished.stderr.splitlines()[-1] if code else ""))
        if option == "--preload":
            assert reason in one.log_text()
            report(f"preload: {what}", tries=1, seconds=finished.seconds)
    ((ended, error),) = ends
    assert ended == code
    assert not error or (error.startswith("Error: workers cannot start: ") and reason in error)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (SIGKILL, -9)]
)
def test_stop_does_not_wait_for_the_import(
    service: Services, number: signal.Signals, code: int
) -> None:
    """A stop, or main's death, while the forkserver imports the job leaves nobody behind."""
    one = service(job(f"if IN_FORKSERVER: {NEVER}"))
    run = one.start("--preload")
    wait_for(lambda: notes(one, "called") and imports(one)["forkserver"], "the import")
    run.send(number)
    assert run.wait().code == code
    report(f"{number.name} while the forkserver imports", tries=1, seconds=run.wait_until_gone(2))


def test_import_prints_and_logs(service: Services) -> None:
    """Records and output of the forkserver's import are in the log, once, and not on the screen."""
    says = (
        "print('printed by', NAME); os.system(f'echo from a program of {NAME}'); "
        "logging.getLogger('mine').info('logged by %s', NAME)"
    )
    one = service(job(says))
    finished = one.run("--preload", "--workers", "2")
    assert finished.code == 0
    for text in ("printed by", "from a program of", "logged by"):
        lines = [line for line in one.log_lines() if f"{text} forkserver" in line]
        assert len(lines) == 1
        assert " forkserver INFO " in lines[0]
        assert f"{text} worker" not in one.log_text()
    assert "forkserver" not in finished.stdout + finished.stderr


def test_import_finds_what_it_finds_in_a_worker(service: Services) -> None:
    """Input, arguments, paths (dask adds some), limits of threads and main as the parent."""
    seen = (
        "paths = [path for path in sys.path if 'dask-scratch-space' not in path]; "
        "note('seen', sys.stdin.read(), sys.argv, paths, os.environ['OMP_NUM_THREADS'], "
        "IN_CHILD and multiprocessing.parent_process().name, __name__)"
    )
    found = []
    for option in ("--preload", "--no-preload"):
        one = service(job(f"if IN_CHILD: {seen}"))
        options = (option, "--workers", "1", "--threads-per-worker", "3")
        with INPUT.open() as stdin:
            assert one.run(*options, stdin=stdin).code == 0
        (at_import,) = notes(one, "seen")
        found.append(json.dumps(at_import).replace(option, "").replace(str(one.folder), ""))
    assert found[0] == found[1]


def test_what_the_import_leaves_ends_with_the_forkserver(service: Services) -> None:
    """Its hooks run once, in the forkserver; its threads, of which the log warns, keep nobody."""
    leaves = (
        "atexit.register(note, 'hooks', NAME); IN_FORKSERVER and "
        f"threading.Thread(target=lambda: {NEVER}, name='mine').start()"
    )
    one = service(job(leaves))
    run = one.start("--preload", "--workers", "2")
    assert run.wait().code == 0
    run.wait_until_gone(2)
    assert sorted(notes(one, "hooks")) == [["MainProcess"], ["forkserver"]]
    assert "workers lack the threads that the import started: mine" in one.log_text()


REFUSED = [
    (("--start-method", "spawn"), "needs --start-method forkserver; with spawn"),
    (("--start-method", "fork"), "needs --start-method forkserver; with fork"),
    (("--workers", "0"), "needs a process of its own; --workers 0 has none"),
]


@pytest.mark.parametrize(("options", "why"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_preload_is_refused(service: Services, options: tuple[str, ...], why: str) -> None:
    """One line, if no forkserver starts the workers; no file is created."""
    one = service(job())
    finished = one.run("--preload", *options)
    assert finished.code == 2
    assert re.fullmatch(rf"Error: --preload: {re.escape(why)}.*\n", finished.stderr)
    assert not one.results.exists()
    assert not imports(one)
