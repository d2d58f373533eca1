"""scale: the job itself, by threads and by processes."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from file_digest.insight import chart
from file_digest.insight.report import (
    Measured,
    advice,
    has_gil,
)
from file_digest.insight.scale import steps

from .support.service import Run, Service, wait_for

NAPS = ("100000", "0.01")
ROW = re.compile(r"(threads|processes) +(\d+) +([\d.]+) +([\d.]+) +(\d+)% +([\d.]+)$", re.MULTILINE)


@pytest.mark.parametrize(
    ("most", "tried"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (5, [1, 2, 4, 5])]
)
def test_workers_double_up_to_the_most(most: int, tried: list[int]) -> None:
    """1, 2, 4 …, and the most itself."""
    assert steps(most) == tried


@pytest.mark.parametrize(
    ("threads", "processes", "gil", "says"),
    [
        ([10, 10], [10, 19], True, "The GIL holds this job: threads gain nothing, processes 1.9 x"),
        ([10, 10], [10, 19], False, "Something that threads share holds this job"),
        ([10, 19], [10, 19], True, "does not hold this job (it waits, or computes in C)"),
        ([10, 19], [10, 19], False, "does not hold this job (there is none here)"),
        ([10, 14], [10, 19], True, "Threads gain 1.4 x, processes 1.9 x; use --workers 2"),
        ([10, 10], [10, 11], True, "Neither threads nor processes help"),
        ([10, 9], [13, 12], True, "Neither threads nor processes help"),
        ([10, 10, 10], [10, 19, 20], True, "use --workers 2"),
        ([10, 10, 10], [10, 19, 30], True, "use --workers 4"),
    ],
)
def test_advice_follows_from_the_figures(
    threads: list[float], processes: list[float], *, gil: bool, says: str
) -> None:
    """One sentence: what holds the job, what gains how much, and how many workers to use."""
    measured = [
        Measured(kind, 2**at, 1000, 0, rate, 1.0)
        for kind, rates in (("threads", threads), ("processes", processes))
        for at, rate in enumerate(rates)
    ]
    sentence = advice(measured, gil=gil)
    assert says in sentence
    assert re.search(r"use --workers \d+\.$", sentence)


def test_threads_that_compute_share_one_core(
    service: Callable[..., Service], start_method: str
) -> None:
    """With the GIL on, pure Python takes no more processor time than passes."""
    options = ("--workers", "2", "--seconds", "0.5", "--start-method", start_method)
    finished = service("computing").command("scale", *options)
    assert finished.code == 0, finished.stderr
    rows = ROW.findall(finished.stdout)
    assert [row[:2] for row in rows] == [
        ("threads", "1"),
        ("threads", "2"),
        ("processes", "1"),
        ("processes", "2"),
    ]
    cores_used = [float(cpu) * float(rate) / 1000 for _, _, rate, _, _, cpu in rows]
    assert all(0 < used < 2.5 for used in cores_used)
    if has_gil():
        assert cores_used[1] < 1.3
    assert "use --workers" in finished.stdout


def test_threads_that_wait_gain(service: Callable[..., Service]) -> None:
    """A job that sleeps is done the faster the more threads there are, and needs no processor."""
    naps = ("100000", "0.1")  # long, so that what else the machine does hardly adds to it
    finished = service("napping").command("scale", *naps, "--workers", "4", "--seconds", "1")
    assert finished.code == 0, finished.stderr
    rates = {row[:2]: float(row[2]) for row in ROW.findall(finished.stdout)}
    assert rates["threads", "4"] > rates["threads", "1"]
    assert rates["processes", "4"] > rates["processes", "1"]
    assert "does not hold this job" in finished.stdout


def test_nothing_is_kept(service: Callable[..., Service]) -> None:
    """Measuring makes no journal and leaves the log of the runs alone."""
    waiting = service("napping")
    assert waiting.command("scale", *NAPS, "--workers", "1", "--seconds", "0.1").code == 0
    logs = [path.name for path in (waiting.folder / "logs").iterdir()]
    assert [name.endswith("-scale.log") for name in logs] == [True]
    assert not (waiting.folder / "results.db").exists()


@pytest.mark.parametrize(
    ("job", "options", "code", "says"),
    [
        ("echo", ("0",), 1, "nothing to measure: there are no items"),
        ("dividing", (), 1, "nothing to measure: ZeroDivisionError: division by zero"),
        ("not_for_threads", (), 1, "the process that tried 1 threads died: exit code 7"),
        ("napping", ("--chart", "picture.gif"), 2, "--chart: picture.gif must end in .svg or .png"),
        ("napping", ("--chart", "no/such.svg"), 2, "--chart: no is not a folder"),
        ("napping", ("--seconds", "0"), 2, "--seconds"),
        ("napping", ("--workers", "0"), 2, "--workers"),
        ("", ("no-such-file",), 2, "no-such-file: No such file or directory"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    service: Callable[..., Service], job: str, options: tuple[str, ...], code: int, says: str
) -> None:
    """It says what is wrong; exit code 2 if the command line is, 1 if the job is."""
    finished = service(job).command("scale", *options)
    assert finished.code == code
    complaint = finished.stderr.splitlines()[-1]
    assert says in complaint
    assert "Traceback" not in finished.stderr


def test_a_chart_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it the command says, before it measures, what to install."""
    monkeypatch.setattr(chart, "find_spec", lambda _: None)
    assert "extra 'chart'" in chart.problem(tmp_path / "x.svg")


def test_measuring_can_be_stopped(service: Callable[..., Service]) -> None:
    """SIGINT ends it, whoever is at work, with exit code 130 and nobody left."""
    waiting = service("napping")
    run = Run(waiting, ("scale", *NAPS, "--workers", "2", "--seconds", "60"))
    waiting.runs.append(run)
    logs = waiting.folder / "logs"
    wait_for(lambda: any("is ready" in path.read_text() for path in logs.glob("*.log")), "a worker")
    run.send(signal.SIGINT)
    assert run.wait(20).code == 130
    run.wait_until_gone(5)
