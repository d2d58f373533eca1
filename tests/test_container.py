"""The container's files: built, linted, and started and stopped as an engine does."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from baked import BakedProject, run
from conftest import CHOICES, Bake
from endless_service import DRAIN, at_work, default_grace, give_endless_job
from image import INIT, Dockerfile, Image
from tools import use

PID_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
MOUNT_NAMESPACE = ("unshare", "--mount")


def works(*command: str) -> bool:
    """Whether this machine lets us run a command."""
    found = shutil.which(command[0])
    return bool(found) and subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="containers run Linux")
needs_pid_namespace = pytest.mark.skipif(
    not works(*PID_NAMESPACE, "true"), reason="a PID namespace needs Linux and root"
)
needs_mount_namespace = pytest.mark.skipif(
    not works(*MOUNT_NAMESPACE, "true"), reason="a mount namespace needs Linux and root"
)


@pytest.fixture(scope="module")
def project(bake_again: Bake) -> BakedProject:
    """Render a project and lock its dependencies."""
    project = bake_again(container="yes")
    use("uv", "lock", "--quiet", cwd=project.path)
    return project


@pytest.fixture(scope="module")
def dockerfile(project: BakedProject) -> Dockerfile:
    """Parse the project's Dockerfile."""
    return Dockerfile.parse(project.files["Dockerfile"].decode())


@pytest.fixture(scope="module")
def image(project: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Build the project's image."""
    return Image.build(project.path, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def endless(project: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Build an image whose job never ends."""
    root = tmp_path_factory.mktemp("endless")
    copy = root / project.slug
    shutil.copytree(project.path, copy)
    give_endless_job(copy)
    return Image.build(copy, root / "image")


def test_dockerfile_passes_hadolint(project: BakedProject) -> None:
    """The linter of Dockerfiles, and of the shell in them, has nothing to say."""
    use("hadolint", "--failure-threshold", "style", "Dockerfile", cwd=project.path)


def test_final_stage_has_what_an_orchestrator_needs(dockerfile: Dockerfile) -> None:
    """No root, an init and no shell between signals and the service, results on a volume."""
    assert dockerfile.last("USER").text == "10001:10001"
    assert dockerfile.last("STOPSIGNAL").text == "SIGTERM"
    assert json.loads(dockerfile.last("ENTRYPOINT").text) == ["tini", "-s", "--", "file-digest"]
    assert "tini" in packages(dockerfile)
    assert dockerfile.last("VOLUME").text == dockerfile.last("WORKDIR").text
    bases = {stage[0].words[0] for stage in dockerfile.stages[-2:]}
    assert len(bases) == 1, "the environment points at the interpreter of its build stage"


def packages(dockerfile: Dockerfile) -> list[str]:
    """Return the packages of Debian's that the final stage installs."""
    (step,) = [step for step in dockerfile.stages[-1] if "apt-get install" in step.text]
    install = step.text.partition("apt-get install")[2].partition("&&")[0]
    return [word for word in install.split() if not word.startswith("-")]


@needs_linux
def test_image_holds_the_service_alone(image: Image) -> None:
    """Neither sources nor development tools are in the final image."""
    assert [path.name for path in (image.root / "app").iterdir()] == [".venv"]
    installed = {path.name for path in (image.root / "app/.venv/bin").iterdir()}
    assert "file-digest" in installed
    assert not {"lint-imports", "mypy", "pip", "pytest", "ruff", "uv"} & installed
    assert "/app/.venv/" in image.python("import file_digest; print(file_digest.__file__)")


@needs_linux
def test_container_does_the_job(image: Image, tmp_path: Path) -> None:
    """A run leaves results in the volume; its output is the log."""
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"{number}\n", "utf-8")
    shown = image.run("run", str(tmp_path))
    assert "run begins: " in shown
    assert "run ends: 20 done" in shown
    with sqlite3.connect(image.data / "results.db") as journal:
        outcomes = journal.execute("SELECT status, count(*) FROM outcomes GROUP BY status")
        assert outcomes.fetchall() == [("done", 20)]
    assert not list(image.data.rglob("*log*"))


@needs_linux
@pytest.mark.parametrize("results", ["results.db", "elsewhere.db"])
def test_container_is_healthy_as_long_as_it_works(
    endless: Image, project: BakedProject, tmp_path: Path, results: str
) -> None:
    """The health check asks the run itself, wherever a variable has its results go."""
    environ = endless.env | {"FILE_DIGEST_RUN_RESULTS": results}
    command = json.loads(endless.dockerfile.last("HEALTHCHECK").text.partition("CMD ")[2])
    assert command[0] == endless.dockerfile.last("ENTRYPOINT").words[-1]

    def health() -> int:
        check = (*endless.service, *command[1:])
        return run(*check, cwd=tmp_path, check=False, environ=environ).returncode

    with at_work(*endless.service, cwd=tmp_path, env=environ) as service:
        service.items(20)
        assert health() == 0
        assert service.stop(default_grace(project)) == 128 + signal.SIGTERM
    assert health() == 1


@needs_mount_namespace
def test_service_user_owns_the_volume(dockerfile: Dockerfile, tmp_path: Path) -> None:
    """The final stage's RUN makes the user that USER names, and a folder it can write to."""
    (step,) = [step for step in dockerfile.stages[-1] if "useradd" in step.text]
    etc, data = tmp_path / "etc", tmp_path / "data"
    shutil.copytree("/etc", etc, symlinks=True)
    script = f"""
        mount --bind {etc} /etc
        {step.text.replace(" /data", f" {data}")}
        stat --format=%u:%g {data}
    """
    owner = run(*MOUNT_NAMESPACE, "/bin/sh", "-ec", script, cwd=tmp_path).stdout
    assert owner.splitlines()[-1] == dockerfile.last("USER").text


@needs_linux
def test_sigterm_ends_everything_a_container_started(
    endless: Image, project: BakedProject, tmp_path: Path
) -> None:
    """The service drains and exits with 143, and no process of it is left."""
    command = (sys.executable, "-c", INIT, *endless.entrypoint)
    with at_work(*command, cwd=tmp_path, env=endless.env) as service:
        service.items(20)
        assert service.stop(default_grace(project)) == 128 + signal.SIGTERM


@needs_pid_namespace
def test_what_an_image_starts_is_a_good_pid_1(
    endless: Image, project: BakedProject, tmp_path: Path
) -> None:
    """PID 1 reaps orphans that it never knew of, and SIGHUP and SIGTERM reach the service."""
    command = (*PID_NAMESPACE, *endless.entrypoint)
    log = tmp_path / "logs" / "file-digest.log"
    env = endless.env | {"FILE_DIGEST_RUN_LOG_FILE": str(log)}  # which SIGHUP has opened again
    with at_work(*command, cwd=tmp_path, env=env) as service:
        orphans = len(service.items(200))
        (first,) = children(service.process.pid)
        assert zombies(first) < orphans / 4
        log.rename(tmp_path / "old.log")
        os.kill(first, signal.SIGHUP)
        while not log.exists():
            service.items(1)
        assert service.stop(default_grace(project), first) == 128 + signal.SIGTERM


@needs_pid_namespace
def test_service_without_an_init_heeds_sigterm(
    endless: Image, project: BakedProject, tmp_path: Path
) -> None:
    """The kernel keeps from PID 1 the signals that it has no handler for; ours has one."""
    with at_work(*PID_NAMESPACE, *endless.service, cwd=tmp_path, env=endless.env) as service:
        service.items(20)
        (main,) = children(service.process.pid)
        assert service.stop(default_grace(project), main) == 128 + signal.SIGTERM


def children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())]


def zombies(parent: int) -> int:
    """Count the dead children that a process has not reaped."""
    dead = 0
    for child in children(parent):
        try:
            status = Path(f"/proc/{child}/stat").read_text("ascii")
        except FileNotFoundError:  # reaped just now
            continue
        dead += status.rpartition(")")[2].split()[0] == "Z"
    return dead


@pytest.mark.parametrize("job", CHOICES["job"])
def test_compose_file_matches_its_schema(bake: Bake, job: str) -> None:
    """`docker compose` will read it, and mounts what the command names."""
    project = bake(container="yes", job=job)
    schema = ("--builtin-schema", "vendor.compose-spec")
    use("check-jsonschema", *schema, "compose.yaml", cwd=project.path)
    service = yaml.safe_load(project.files["compose.yaml"])["services"][project.slug]
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert {word for word in service["command"] if word.startswith("/")} <= mounted


def test_compose_waits_longer_than_the_service_needs(project: BakedProject) -> None:
    """Compose sends SIGKILL only when the service broke its promise."""
    (service,) = yaml.safe_load(project.files["compose.yaml"])["services"].values()
    assert int(service["stop_grace_period"].removesuffix("s")) > default_grace(project) + DRAIN
