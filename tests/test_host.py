"""The files for a host without containers: the systemd unit and the rotation of its log."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baked import BakedProject, clean_environ, run
from conftest import CHOICES, Bake
from endless_service import DRAIN, at_work, default_grace, give_endless_job

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed"
)
needs_logrotate = pytest.mark.skipif(
    not shutil.which("logrotate"), reason="logrotate is not installed"
)


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """Render a project."""
    return bake(container="yes")


@pytest.fixture(params=CHOICES["job"])
def unit(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return the unit of each job, with a command that exists instead of the one to install."""
    text = bake(container="yes", job=request.param).files["file-digest.service"].decode()
    unit = tmp_path / "file-digest.service"
    unit.write_text(text.replace("/opt/file-digest/bin/file-digest", sys.executable), "utf-8")
    return unit


@needs_systemd
def test_systemd_accepts_the_unit(unit: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    assert run("systemd-analyze", "verify", "--man=no", unit, cwd=unit.parent).stdout == ""


@needs_systemd
def test_unit_is_hardened(unit: Path) -> None:
    """The exposure level that systemd computes is 2.0 of 10 or less."""
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit, cwd=unit.parent)


def test_unit_stops_and_reloads_the_service_its_own_way(project: BakedProject, unit: Path) -> None:
    """SIGTERM goes to main, SIGKILL waits for it, a clean stop is a success, reload is SIGHUP."""
    lines = unit.read_text("utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    assert settings["KillMode"] == "mixed"
    assert int(settings["TimeoutStopSec"].removesuffix("s")) > default_grace(project) + DRAIN
    assert settings["SuccessExitStatus"] == "130 143"
    # A source may take longer to return its items than systemd waits by default.
    assert settings["TimeoutStartSec"] == "infinity"
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_unit_restarts_what_broke_off(unit: Path) -> None:
    """3, 4 or a kill, and not what failed or is set wrongly.

    What is always on does not end because items failed: there 1 is a full disk, or the like.
    """
    text = unit.read_text("utf-8")
    assert "Restart=on-failure\n" in text
    assert f"RestartPreventExitStatus={'' if '--poll' in text else '1 '}2 5\n" in text


def test_unit_watches_over_main(unit: Path) -> None:
    """Systemd knows when the service is up, and ends one that is stuck."""
    lines = unit.read_text("utf-8").splitlines()
    assert "Type=notify" in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


@needs_promtool
def test_metrics_are_as_prometheus_wants_them(project: BakedProject, bake_again: Bake) -> None:
    """`promtool check metrics` has nothing to say, and the dashboard shows nothing else."""
    made = bake_again(container="yes")
    made.install("--editable", ".[metrics]")
    made.run(made.slug, "run", "--metrics", "m.prom", "src")
    text = (made.path / "m.prom").read_text("utf-8")
    subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True)
    dashboard = project.files["file-digest.dashboard.json"].decode()
    queries = [t["expr"] for panel in json.loads(dashboard)["panels"] for t in panel["targets"]]
    shown = set(re.findall(r"file_digest_\w+", " ".join(queries)))
    written = re.findall(r"^file_digest_\w+", text, re.MULTILINE)
    # Only a job that wants to be told of its outcomes has these; and no worker was replaced.
    seldom = {"file_digest_outcomes_unsettled", "file_digest_workers_replaced_total"}
    assert shown - seldom <= {*written}


@needs_logrotate
def test_logrotate_loses_no_line(bake_again: Bake, tmp_path: Path) -> None:
    """The log is moved away under load, the service goes on in a new one, no line is lost.

    `log KEY` still finds the lines of an item once they were moved again.
    """
    project = bake_again(container="yes")
    give_endless_job(project.path)
    logs = tmp_path / "run" / "logs"
    logs.parent.mkdir()
    config = project.files["file-digest.logrotate"].decode()
    (tmp_path / "config").write_text(config.replace("/var/log/file-digest", str(logs)), "utf-8")
    command = project.bin / "file-digest"
    with at_work(command, cwd=logs.parent, env=clean_environ()) as service:
        done = service.items(20)
        for _ in range(2):
            rotate(tmp_path, service.process.pid)
            # The service turns to the new file on its own time; its items must be there.
            while not list(logs.glob("*.log")):
                done += service.items(1)
            done += service.items(20)
        assert service.stop(default_grace(project)) == 143
    new, *old = (log.read_text("utf-8") for log in sorted(logs.glob("file-digest.log*")))
    logged = re.findall(r"item (\d+)$", "".join(old) + new, re.MULTILINE)
    assert re.search(r"item \d+$", new, re.MULTILINE)
    assert len(logged) == len(set(logged))
    assert set(done) <= set(logged)
    oldest = run(command, "log", str(done[0]), cwd=logs.parent).stdout
    assert f"item {done[0]}\n" in oldest


def rotate(folder: Path, pid: int) -> None:
    """Run logrotate with a folder's config; `systemctl reload` does there what the unit says."""
    systemctl = folder / "systemctl"
    systemctl.write_text(f'#!/bin/sh\ntest "$1" != reload || kill -HUP {pid}\n', "utf-8")
    systemctl.chmod(0o755)
    command = ("logrotate", "--force", "--state", folder / "state", folder / "config")
    run(*command, cwd=folder, environ={"PATH": f"{folder}:{os.environ['PATH']}"})
