"""--threads-per-worker: what numeric libraries find in a worker when the job imports them."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from file_digest.insight.report import (
    LIMITED,
    PROCESSES,
    THREADS,
    Measured,
    advice,
)
from file_digest.insight.scale import steps
from file_digest.settings import Settings, usable_cores
from file_digest.system import threads
from file_digest.system.threads import (
    VARIABLES,
    combinations,
    threads_for,
)

from .support.service import Service

Services = Callable[..., Service]

JOB = """
    import os

    AT_IMPORT = dict(os.environ)

    def items(inputs):
        return ((f"item-{number}", number) for number in range(8))

    def work(payload):
        return AT_IMPORT
"""
FOUR = ("--threads-per-worker", "4")
ALL_FOUR = dict.fromkeys(VARIABLES, "4")
AUTO = ("--threads-per-worker", "auto", "--workers", "1")

LIMITS: list[tuple[tuple[str, ...], dict[str, str], dict[str, str]]] = [
    (FOUR, {}, ALL_FOUR),
    (FOUR, {"OMP_NUM_THREADS": "7"}, ALL_FOUR | {"OMP_NUM_THREADS": "7"}),
    (AUTO, {}, dict.fromkeys(VARIABLES, str(usable_cores()))),
]


def without_limits(job: Service, **given: str) -> Service:
    """Start a service with only the given variables."""
    rest = {name: text for name, text in job.environment.items() if name not in VARIABLES}
    job.environment = rest | given
    return job


def found_at_import(job: Service, *options: str) -> list[dict[str, str]]:
    """Run it; return which of the variables each item's worker had when it imported the job."""
    finished = job.run("--workers", "2", *options)
    assert finished.code == 0, finished.stderr
    environments = [job.result(key) for key in job.outcomes()]
    return [{name: one[name] for name in VARIABLES if name in one} for one in environments]


@pytest.mark.parametrize(
    ("options", "given", "found"), LIMITS, ids=["4", "4, one was set and stays", "auto"]
)
def test_a_worker_imports_the_job_with_the_limit(
    service: Services,
    start_method: str,
    options: tuple[str, ...],
    given: dict[str, str],
    found: dict[str, str],
) -> None:
    """Each variable is there before the job is imported; one that was set stays as it was."""
    one = without_limits(service(JOB), **given)
    assert found_at_import(one, *options, "--start-method", start_method) == [found] * 8


def test_unasked_no_limit_is_set(service: Services) -> None:
    """Without the option a worker's environment is that of main."""
    one = without_limits(service(JOB), MKL_NUM_THREADS="3")
    assert found_at_import(one) == [{"MKL_NUM_THREADS": "3"}] * 8


def test_a_limit_is_at_least_one_thread(service: Services) -> None:
    """0, a fraction and other words are refused in one line."""
    for text in ("0", "1.5", "all"):
        finished = service(JOB).run("--threads-per-worker", text)
        assert finished.code == 2
        assert "--threads-per-worker" in finished.stderr.splitlines()[-1]
        assert finished.stderr.splitlines()[-1].endswith("at least 1, or auto")


@pytest.mark.parametrize(
    ("cores", "workers", "each"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (8, 8, 1), (8, 500, 1)]
)
def test_auto_shares_the_cores_out(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, each: int
) -> None:
    """Usable cores by workers, rounded down, but at least 1; a number is what it says."""
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    settings = Settings(workers=workers, threads_per_worker="auto")
    assert threads_for(settings) == each
    assert threads_for(replace(settings, threads_per_worker=5)) == 5
    assert threads_for(replace(settings, threads_per_worker=None)) is None


@pytest.mark.parametrize(
    ("cores", "most", "tried"),
    [
        (1, 1, [(1, 1)]),
        (2, 2, [(1, 1), (1, 2), (2, 1)]),
        (8, 8, [(1, 1), (1, 8), (2, 4), (4, 2), (8, 1)]),
        (6, 3, [(1, 1), (1, 6), (2, 3), (3, 2)]),
        (2, 4, [(1, 1), (1, 2), (2, 1)]),
    ],
)
def test_few_combinations_are_tried(cores: int, most: int, tried: list[tuple[int, int]]) -> None:
    """One thread, and what uses all cores; never more threads than cores."""
    assert combinations(cores, steps(most)) == tried


def measured(rates: dict[tuple[str, int, int], float]) -> list[Measured]:
    """Return what scale would have measured."""
    return [Measured(kind, n, 9, 0, rate, 1.0, each) for (kind, n, each), rate in rates.items()]


ONE, TWO = (THREADS, 1, 0), (PROCESSES, 2, 0)


@pytest.mark.parametrize(
    ("limited", "plain", "says"),
    [
        ({(1, 1): 10, (1, 8): 30, (2, 4): 55, (4, 2): 54}, 20, "2 x 4 gain 5.5 x over one worker"),
        ({(1, 1): 10, (1, 8): 10, (2, 4): 10}, 10, "use --workers 1 --threads-per-worker 1."),
        ({(1, 1): 10, (1, 2): 12, (2, 1): 19}, 19, "use --workers 2 --threads-per-worker 1."),
        ({(1, 1): 10, (1, 2): 10}, 30, "processes 3.0 x; use --workers 2."),
    ],
)
def test_advice_names_workers_and_threads(
    limited: dict[tuple[int, int], float], plain: float, says: str
) -> None:
    """The fewest that come near the best; without a limit where none comes near."""
    rates: dict[tuple[str, int, int], float] = {ONE: 10, (PROCESSES, 1, 0): 10, TWO: plain}
    rates |= {(LIMITED, *both): rate for both, rate in limited.items()}
    assert says in advice(measured(rates), gil=True)


NUMPY = """
import os
import time
from pathlib import Path
from types import SimpleNamespace

random = SimpleNamespace(seed=dict)

def empty(shape, dtype):
    return SimpleNamespace(data=memoryview(bytearray(shape[0])))

with Path(__file__).with_name("imports").open("a") as file:
    file.write(os.environ.get("OMP_NUM_THREADS", "-") + "\\n")

def compute():
    time.sleep(0.01 if "NUMEXPR_NUM_THREADS" in os.environ else 0.1)
"""
"""It notes the limit that it is imported with; without one it is slow, as if threads were in each
other's way. Besides, it has what dask, which takes NumPy where it is, needs of it.
"""
NUMERIC = """
    IMPORT

    def items(inputs):
        return ((f"item-{number}", number) for number in range(100_000))

    def work(payload):
        import numpy
        numpy.compute()
"""
ROW = re.compile(r"^limited +(\d+) x (\d+) +([\d.]+) ", re.MULTILINE)


@pytest.mark.parametrize("line", ["import numpy", "import os"], ids=["of the job", "of work()"])
def test_scale_measures_workers_by_threads(service: Services, start_method: str, line: str) -> None:
    """If NumPy is imported, each combination's workers have its limit; the advice has both."""
    one = without_limits(service(NUMERIC.replace("IMPORT", line)))
    (one.package.parent / "numpy.py").write_text(NUMPY)
    options = ("--workers", "1", "--seconds", "0.3", "--start-method", start_method)
    finished = one.command("scale", *options)
    assert finished.code == 0, finished.stderr
    tried = combinations(usable_cores(), [1])
    assert [(int(n), int(each)) for n, each, _ in ROW.findall(finished.stdout)] == tried
    imports = Counter((one.package.parent / "imports").read_text().split())
    wanted = Counter[str]()
    for workers, each in tried:
        wanted[str(each)] += workers
    assert imports >= wanted
    assert re.search(r"; use --workers \d --threads-per-worker \d+\.$", finished.stdout.strip())


def test_scale_leaves_a_limit_that_was_set(service: Services) -> None:
    """It measures what a run would do: a variable that is set wins there, too."""
    one = without_limits(service(NUMERIC.replace("IMPORT", "")), OMP_NUM_THREADS="5")
    (one.package.parent / "numpy.py").write_text(NUMPY)
    finished = one.command("scale", "--workers", "1", "--seconds", "0.2")
    assert finished.code == 0, finished.stderr
    assert ROW.search(finished.stdout)
    assert {*(one.package.parent / "imports").read_text().split()} == {"5"}


def test_scale_is_silent_without_numpy(service: Services) -> None:
    """If NumPy is not imported, no limit is tried, and none is in the advice."""
    options = ("--workers", "1", "--seconds", "0.1")
    finished = service("napping").command("scale", "9", "0.01", *options)
    assert finished.code == 0, finished.stderr
    assert LIMITED not in finished.stdout
    assert "--threads-per-worker" not in finished.stdout
