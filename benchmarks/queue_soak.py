"""Kills services that share a queue, and their server, while rows are done; then counts results.

    python -m benchmarks.queue_soak [--rows N] [--kills N] [--restarts N] [--lease S] [--compare]

It renders the job `postgres`, starts a PostgreSQL of its own and two services. Each is SIGKILLed
and started again so many times, the server is crashed and started again, spread over the rows.
`--compare` measures rows a second without kills, beside loops of psycopg, and procrastinate where
that is installed. The environment of `make bench`, build/peers, has all that it needs.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from . import rendered

LOOP = """
import hashlib, os, sys
import psycopg
most = int(sys.argv[1])
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    while True:
        rows = connection.execute(
            "SELECT id, payload FROM queue WHERE status = 'open' ORDER BY id LIMIT %s"
            " FOR UPDATE SKIP LOCKED", (most,)).fetchall()
        if not rows:
            break
        for number, payload in rows:
            data = payload.encode()
            result = '{"sha256": "%s", "bytes": %d, "lines": %d, "words": %d}' % (
                hashlib.sha256(data).hexdigest(), len(data), data.count(b"\\n"), len(data.split()))
            connection.execute(
                "UPDATE queue SET status = 'done', result = %s::json WHERE id = %s",
                (result, number))
        connection.commit()
"""
PROCRASTINATE = """
import asyncio, hashlib, os, sys
import procrastinate
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))
@app.task(name="digest")
async def digest(payload):
    data = payload.encode()
    return [hashlib.sha256(data).hexdigest(), len(data), data.count(b"\\n"), len(data.split())]
async def main():
    async with app.open_async():
        if sys.argv[1] == "put":
            await app.schema_manager.apply_schema_async()
            texts = [{"payload": f"text number {n}"} for n in range(1, int(sys.argv[2]) + 1)]
            await digest.batch_defer_async(*texts)
        else:
            await app.run_worker_async(wait=False, concurrency=int(sys.argv[2]))
asyncio.run(main())
"""
PUT = "INSERT INTO queue (payload) SELECT 'text number ' || n FROM generate_series(1, %s) AS n"
OPEN = "SELECT count(*) FROM queue WHERE status = 'open'"
NOT_ONCE = "SELECT count(*) FROM queue WHERE status <> 'done' OR result IS NULL"


class Queue:
    """A rendered project, a server, and services that share its table."""

    def __init__(self, folder: Path, lease: float) -> None:
        """Render, install, and start the server."""
        template = rendered.copy_template(folder / "template")
        source = rendered.render(template, "process", "queue_digest", folder, job="postgres")
        self.folder, self.project = folder, source.parent
        subprocess.run([find_uv_bin(), "sync", "--quiet"], cwd=self.project, check=True)
        job = source / "queue_digest" / "job.py"
        text = job.read_text("utf-8")
        job.write_text(re.sub(r"(?m)^LEASE_SECONDS = .*$", f"LEASE_SECONDS = {lease}", text))
        spec = importlib.util.spec_from_file_location(
            "postgres", self.project / "tests" / "support" / "postgres.py"
        )
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not (binaries := module.find_binaries()):
            raise SystemExit(module.MISSING)
        self.server = module.Server(binaries)
        self.url = ""

    def close(self) -> None:
        """Stop the server."""
        self.server.close()

    def fill(self, rows: int) -> None:
        """Make a new database whose table has so many rows."""
        self.url = self.server.new_database()
        self.ask((self.project / "src" / "queue_digest" / "schema.sql").read_text("utf-8"))
        self.ask(PUT, rows)
        self.ask("ANALYZE queue")

    def ask(self, query: str, *values: object) -> Any:
        """Return the first value that a query returns, if it returns any."""
        import psycopg  # noqa: PLC0415 - of the environment in which this is measured

        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(query.encode(), values or None)
            return found.fetchone()[0] if found.description else None

    def start(self, command: list[str], number: int) -> "subprocess.Popen[bytes]":
        """Start one of several processes that work on the table, in a folder of its own."""
        folder = self.folder / f"machine-{number}"
        folder.mkdir(exist_ok=True)
        own = {"DATABASE_URL": self.url, "CI": ""}
        with (folder / "output").open("ab") as output:
            return subprocess.Popen(
                command, cwd=folder, env=os.environ | own, stdout=output, stderr=output
            )

    def service(self, number: int) -> "subprocess.Popen[bytes]":
        """Start a service."""
        command = str(self.project / ".venv" / "bin" / "queue-digest")
        return self.start([command, "run", "--poll", "0.1", "--workers", "1"], number)

    def await_fewer(self, rows: int) -> None:
        """Wait until fewer rows are without a result."""
        while self.ask(OPEN) >= rows:
            time.sleep(0.1)


def soak(queue: Queue, rows: int, kills: int, restarts: int) -> bool:
    """Kill and restart, tell what came of it; return whether each row has its result."""
    queue.fill(rows)
    began, services = time.monotonic(), [queue.service(number) for number in range(2)]
    for step in range(2 * kills):
        queue.await_fewer(rows - rows * step // (2 * kills))
        services[step % 2].send_signal(signal.SIGKILL)
        services[step % 2].wait()
        if restarts and step % (2 * kills // restarts) == kills // restarts:
            queue.server.stop()
            queue.server.start()
        services[step % 2] = queue.service(step % 2)
    queue.await_fewer(1)
    seconds = time.monotonic() - began
    end(services)
    wrong = queue.ask(NOT_ONCE) + abs(queue.ask("SELECT count(*) FROM queue") - rows)
    wrong += differing(queue)
    tell(f"{rows} rows, {2 * kills} kills, {restarts} restarts: {seconds:.0f} s, {wrong} wrong")
    return not wrong


def differing(queue: Queue) -> int:
    """Count the rows whose result is not theirs."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(queue.url) as connection:
        found = connection.execute("SELECT payload, result->>'sha256' FROM queue")
        return sum(hashlib.sha256(text.encode()).hexdigest() != digest for text, digest in found)


def end(services: list["subprocess.Popen[bytes]"]) -> None:
    """Stop the services in good order."""
    for one in services:
        one.send_signal(signal.SIGTERM)
    for one in services:
        one.wait()


def tell(line: str) -> None:
    """Say what came out."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def timed(name: str, rows: int) -> Iterator[None]:
    """Tell how many rows a second were done."""
    began = time.monotonic()
    yield
    tell(f"{name}: {rows / (time.monotonic() - began):,.0f} rows/s")


def compare(queue: Queue, rows: int) -> None:
    """Measure two services, two loops and two workers of procrastinate, each from its start."""
    queue.fill(rows)
    with timed("two services", rows):
        services = [queue.service(number) for number in range(2)]
        queue.await_fewer(1)
    end(services)
    for most in ("1", "100"):
        queue.fill(rows)
        with timed(f"two loops, {most} rows a transaction", rows):
            both(queue, LOOP, most)
    if importlib.util.find_spec("procrastinate"):
        queue.fill(1)
        some = min(rows, 10_000)
        queue.start([sys.executable, "-c", PROCRASTINATE, "put", str(some)], 0).wait()
        with timed(f"procrastinate, two workers, {some} rows", some):
            both(queue, PROCRASTINATE, "do", "10")


def both(queue: Queue, code: str, *arguments: str) -> None:
    """Run some Python in two processes."""
    command = [sys.executable, "-c", code, *arguments]
    for one in [queue.start(command, number) for number in range(2)]:
        if one.wait():
            raise SystemExit("one of them failed: see its output")


def main() -> int:
    """Do what was asked for; return 1 if a row has not its one result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20, help="of each service")
    parser.add_argument("--restarts", type=int, default=3, help="of the server")
    parser.add_argument("--lease", type=float, default=60.0, help="seconds; fewer end sooner")
    parser.add_argument("--compare", action="store_true", help="measure speed, kill nobody")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Queue(Path(folder), options.lease)) as queue,
    ):
        if options.compare:
            compare(queue, options.rows)
            return 0
        return int(not soak(queue, options.rows, options.kills, options.restarts))


if __name__ == "__main__":
    sys.exit(main())
