"""All that an owner asks for on day two, at once, in one project of each execution model."""

import json
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from baked import BakedProject
from conftest import CHOICES, Bake

JOB = Path(__file__).parent / "day_two" / "job.py"
TEXTS = [
    *(f"leak-{number}" for number in range(40)),
    *(f"ask-{number}" for number in range(6)),
    "crash",
    "good-bad",
]
OPTIONS = ("--workers", "2", "--max-attempts", "4", "--retry-delay", "0.1", "--recycle-after", "10")


class Flaky(BaseHTTPRequestHandler):
    """Drops the first two connections for each path, then answers."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        """Answer with how often this path was asked for."""
        self.asked[self.path] += 1
        if self.asked[self.path] <= 2:
            self.close_connection = True
            return
        body = str(self.asked[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Start the flaky server; return its address."""
    Flaky.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.fixture(params=CHOICES["execution_model"])
def project(request: pytest.FixtureRequest, bake_again: Bake) -> BakedProject:
    """Render a project and give it the job."""
    project = bake_again(execution_model=request.param)
    (package,) = (project.path / "src").iterdir()
    shutil.copy(JOB, package / "job.py")
    (project.path / "model.json").write_text(json.dumps({"good": 1, "bad": -3}))
    return project


def test_day_two(project: BakedProject, server: str) -> None:
    """A model, a flaky server, a leak, a crash: each text has the outcome that it deserves."""
    arguments = ("run", "--no-progress", *OPTIONS, *TEXTS)
    done = project.run(project.slug, *arguments, check=False, environ={"SERVER": server})
    assert done.returncode == 1, done.stdout
    rows = outcomes(project)
    assert rows.keys() == set(TEXTS)
    assert json.loads(rows["good-bad"]["result"])["score"] == -2
    for text in TEXTS:
        if text.startswith("ask"):
            assert json.loads(rows[text]["result"])["score"] == 3
            # An attempt that ended in the batch that crashed is made again: nobody heard of it.
            assert rows[text]["attempts"] in {2, 3}
        elif text.startswith("leak"):
            assert json.loads(rows[text]["result"])["leaked"] <= 10
    crash = rows["crash"]
    assert (crash["status"], crash["attempts"]) == ("failed", 4)
    assert crash["error"].startswith("worker died: SIGSEGV\n")
    assert "in string_at" in crash["error"]
    lines = project.run(project.slug, "log", "crash").stdout
    assert lines.count("scoring crash") == 4
    assert "item crash failed: worker died: SIGSEGV" in lines
    log = (project.path / "logs" / f"{project.slug}.log").read_text()
    assert log.count("model put away") >= 2
    assert log.count("model loaded in place") >= 5
    assert {place for place in ("0", "1", "2") if f"loaded in place {place}" in log} == {"0", "1"}


def test_too_many_failures_halt_it(project: BakedProject, server: str) -> None:
    """And in one process, for a debugger, it does the same as in many."""
    texts = ("good-bad", "good-good", *(f"crash-{number}" for number in range(3)))
    environ = {"SERVER": server}
    one = project.run(project.slug, "run", "--workers", "0", *texts, environ=environ)
    assert "5 done, 0 failed" in one.stdout
    server_is_gone = {"SERVER": "127.0.0.1:1"}
    many = [f"ask-{number}" for number in range(3_000)]  # more than workers may have at hand
    limits = ("--max-attempts", "1", "--max-failures", "20%", "--workers", "2")
    halted = project.run(project.slug, "run", *limits, *many, check=False, environ=server_is_gone)
    assert halted.returncode == 5, halted.stdout
    assert "halted by --max-failures; most often" in halted.stdout
    assert len(outcomes(project)) < len(many)


def outcomes(project: BakedProject) -> dict[str, dict[str, Any]]:
    """Return the journal's rows by key."""
    with closing(sqlite3.connect(project.path / "results.db")) as database:
        database.row_factory = sqlite3.Row
        return {row["key"]: dict(row) for row in database.execute("SELECT * FROM outcomes")}
