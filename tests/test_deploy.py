"""An owner's other work with a project: commit, build, install, upgrade."""

import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from baked import BakedProject, run
from conftest import CHOICES, Bake, first_always
from repository import Repository
from test_container import MOUNT_NAMESPACE, needs_mount_namespace
from tools import TOOLS, use

SECRETS_AND_RESULTS = (
    ".env",
    ".envrc",
    ".env.production",
    "input/photo.txt",
    "results.db",
    "results.db-wal",
    "results.db-live",
    "logs/file-digest.log",
    "file-digest.log.rescue",
    "timeline.html",
    "trace.json",
    "items.csv",
    "m.prom",
    "core.4711",
    "id_rsa",
    "dist/old.whl",
    "node_modules/x.js",
    "src/.env",
    "src/file_digest/cache.db",
    "tests/__pycache__/x.pyc",
)
FORCED = ("README.md", "LICENSE", "pyproject.toml", ".gitignore", "PKG-INFO")
"""Files that hatchling puts into every sdist."""


def litter(project: BakedProject) -> None:
    """Leave lying around what must reach neither a repository nor a registry."""
    for name in SECRETS_AND_RESULTS:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret\n", "utf-8")


@pytest.mark.parametrize("execution_model", CHOICES["execution_model"])
@pytest.mark.parametrize("ci", CHOICES["ci"])
def test_git_takes_the_project_and_nothing_else(
    bake_again: Bake, ci: str, execution_model: str
) -> None:
    """`git add --all` takes what was generated, uv.lock, and no secret, input or result."""
    license_ = "Proprietary" if ci == "none" else "MIT"
    project = bake_again(ci=ci, execution_model=execution_model, license=license_)
    litter(project)
    (project.path / "uv.lock").touch()
    repository = Repository.begin(project.path)
    assert {*repository.git("ls-files").splitlines()} == {*project.files, "uv.lock"}
    assert repository.git("status", "--short") == ""


def test_lines_end_the_same_everywhere(bake_again: Bake) -> None:
    """Also where git is set to write CR LF."""
    project = bake_again()
    repository = Repository.begin(project.path)
    (project.path / "README.md").unlink()
    repository.git("-c", "core.autocrlf=true", "checkout", "README.md")
    assert (project.path / "README.md").read_bytes() == project.files["README.md"]


@pytest.mark.parametrize("examples", CHOICES["include_examples"])
def test_an_sdist_holds_the_project_and_nothing_else(bake_again: Bake, examples: str) -> None:
    """Sources, tests and what describes them; with the oldest allowed build backend, too."""
    project = bake_again(include_examples=examples)
    litter(project)
    oldest = re.search(rb'requires = \["(hatchling)>=([\d.]+)"\]', project.files["pyproject.toml"])
    assert oldest
    constraints = project.path.parent / f"constraints-{examples}.txt"
    constraints.write_bytes(b"%s==%s\n" % oldest.groups())
    folders = ("src/", "tests/", "examples/")
    wanted = {name for name in project.files if name.startswith(folders)} | {*FORCED}
    for extra in ((), ("--build-constraint", constraints)):
        use("uv", "build", "--quiet", "--clear", *extra, cwd=project.path)
        [sdist], [wheel] = project.path.glob("dist/*.tar.gz"), project.path.glob("dist/*.whl")
        with tarfile.open(sdist) as archive:
            assert {name.partition("/")[2] for name in archive.getnames()} == wanted
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert packed == {name[len("src/") :] for name in wanted if name.startswith("src/")}


def test_a_wheel_has_its_extras(bake: Bake, tmp_path: Path) -> None:
    """Whoever installs the wheel can have the chart and the metrics."""
    use("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path, cwd=bake().path)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("file_digest-0.1.0.dist-info/METADATA").decode()
    assert re.findall("^Provides-Extra: (.*)$", metadata, re.MULTILINE) == ["chart", "metrics"]


def test_compose_shares_its_folder_with_selinux(bake: Bake) -> None:
    """A bind mount without a label cannot be read where SELinux enforces."""
    (service,) = yaml.safe_load(bake().files["compose.yaml"])["services"].values()
    bound = [volume for volume in service["volumes"] if volume.startswith((".", "/"))]
    assert bound == ["./input:/input:ro,z"]


def test_commits_are_checked_after_uvs_cache_is_pruned(bake_again: Bake) -> None:
    """The hook that the README installs names the project's own environment."""
    project = bake_again()
    repository = Repository.begin(project.path)
    assert "`uv run prek install`" in project.files["README.md"].decode()
    environ = {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    with TemporaryDirectory(prefix="uv-cache-", dir=project.path.parent) as cache:
        own = environ | {"UV_CACHE_DIR": cache, "UV_LINK_MODE": "copy"}
        run("uv", "run", "--quiet", "prek", "install", cwd=project.path, environ=own)
        hook = (project.path / ".git" / "hooks" / "pre-commit").read_text("utf-8")
    assert str(project.path / ".venv") in hook
    assert cache not in hook
    (project.path / "src" / "bad.py").write_text("import os\n", "utf-8")
    repository.git("add", "--all")
    commit = ("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--message", "bad")
    done = run("git", *commit, cwd=project.path, check=False, environ=environ)
    assert done.returncode == 1, done.stdout
    assert "F401" in done.stdout


@pytest.mark.parametrize("execution_model", first_always(CHOICES["execution_model"][::-1]))
def test_the_oldest_dependencies_will_do(bake_again: Bake, execution_model: str) -> None:
    """CI's checks pass with the lower bounds of pyproject.toml; of the tests, some here."""
    project = bake_again(ci="github", execution_model=execution_model)
    steps = yaml.safe_load(project.files[".github/workflows/ci.yml"])["jobs"]["floors"]["steps"]
    environ = {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "tests/test_cli.py tests/test_metrics.py tests/test_scale.py "
        "tests/test_progress.py tests/test_log_records.py tests/test_end_to_end.py",
    }
    for command in [step["run"] for step in steps if "run" in step]:
        shown = run("bash", "-c", command, cwd=project.path, environ=environ).stdout
    assert " passed" in shown
    declared = re.findall(r'"([\w-]+)>=([\d.]+)"', project.files["pyproject.toml"].decode())
    installed = dict(
        line.split("==")
        for line in use("uv", "pip", "freeze", cwd=project.path).stdout.splitlines()
        if "==" in line
    )
    for name, floor in declared:
        if name not in {"hatchling", "types-psutil"}:  # built with; calls its versions otherwise
            assert f"{installed[name]}.".startswith(f"{floor}."), name


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Return a folder that every user may enter, with a home of root's that none may."""
    with TemporaryDirectory(prefix="deploy-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        for name in ("home", "opt", "units", "bin", "work"):
            (Path(folder) / name).mkdir(mode=0o700 if name == "home" else 0o755)
        yield Path(folder)


def downloads(folder: Path) -> Path:
    """Pack this Python as uv downloads one; return the list that names it."""
    prefix = Path(sys.base_prefix)
    version = platform.python_version()
    name = f"python{sysconfig.get_python_version()}"
    skipped = re.compile(r"/(__pycache__|site-packages|test|idlelib|config-[^/]*)(/|$)")
    archive = folder / "python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(prefix / "bin" / name, f"python/bin/{name}")
        for path in (prefix / "lib" / name).rglob("*"):
            within = f"python/{path.relative_to(prefix).as_posix()}"
            if path.is_file() and not skipped.search(within):
                packed.add(path, within)
        for library in (prefix / "lib").glob("libpython*"):
            packed.add(library, f"python/lib/{library.name}")
    major, minor, patch = map(int, version.split("."))
    machine = platform.machine()
    entry = {
        "name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux",
        "libc": "gnu", "major": major, "minor": minor, "patch": patch, "prerelease": "",
        "url": archive.as_uri(), "sha256": None, "variant": None, "build": None,
    }  # fmt: skip
    listed = folder / "downloads.json"
    key = f"cpython-{version}-linux-{machine}-gnu"
    listed.write_text(json.dumps({key: entry}), "utf-8")
    return listed


def install_lines(project: BakedProject) -> str:
    """Return the commands at the top of the unit."""
    unit = project.files["file-digest.service"].decode()
    install, settings, _ = unit.partition("# Put inputs and settings")
    assert settings, unit
    lines = install.splitlines()
    return "\n".join(line.removeprefix("#   ") for line in lines if line.startswith("#   "))


@needs_mount_namespace
def test_the_units_lines_install_and_upgrade(bake_again: Bake, elsewhere: Path) -> None:
    """A user who sees nothing of root's home runs what they install; again, the next version."""
    project = bake_again(container="yes")
    use("uv", "lock", "--quiet", cwd=project.path)
    project.path.chmod(0o700)
    (elsewhere / "bin" / "systemctl").write_text('#!/bin/sh\necho "systemctl $*"\n', "utf-8")
    (elsewhere / "bin" / "systemctl").chmod(0o755)
    environ = {
        "HOME": str(elsewhere / "home"),
        "PATH": f"{elsewhere / 'bin'}:{TOOLS}:/usr/bin:/bin",
        "UV_CACHE_DIR": str(elsewhere / "home" / "cache"),
        "UV_PYTHON_DOWNLOADS_JSON_URL": downloads(elsewhere).as_uri(),
    }
    (elsewhere / "work").chmod(0o777)
    # As root with a careful umask; /opt and the units' folder are this test's.
    script = f"""
        umask 077
        mount --bind {elsewhere}/opt /opt
        mkdir -p /etc/systemd/system && mount --bind {elsewhere}/units /etc/systemd/system
        {install_lines(project)}
        cd {elsewhere}/work
        umask 077
        # The Pythons that uv downloads find their library beside them; a packed one may not.
        libraries=(/opt/python/cpython-*/lib)
        export LD_LIBRARY_PATH=${{libraries[0]}}
        exec setpriv --reuid=65534 --regid=65534 --clear-groups \\
            $(sed -n 's/^ExecStart=\\([^ ]*\\) .*/\\1/p' /etc/systemd/system/file-digest.service) \\
            run --no-progress /opt/file-digest/pyvenv.cfg
    """

    def deploy() -> str:
        command = (*MOUNT_NAMESPACE, "bash", "-euc", script)
        return run(*command, cwd=project.path, environ=environ).stdout

    assert "1 done, 0 failed" in (shown := deploy()), shown
    assert "systemctl restart file-digest" in shown
    interpreter = next(elsewhere.glob("opt/python/cpython-*/bin/python3.*[0-9]"))
    assert interpreter.stat().st_mode & 0o005 == 0o005
    [package] = elsewhere.glob("opt/file-digest/lib/python3.*/site-packages/file_digest")
    assert list(package.glob("__pycache__/job.*.pyc"))
    locked = (project.path / "uv.lock").read_bytes()
    job = project.path / "src" / "file_digest" / "job.py"
    job.write_text(job.read_text("utf-8") + "\n# the next version\n", "utf-8")
    shutil.rmtree(elsewhere / "work")
    (elsewhere / "work").mkdir()
    (elsewhere / "work").chmod(0o777)
    assert "1 done, 0 failed" in deploy()
    assert (package / "job.py").read_bytes() == job.read_bytes()
    assert (project.path / "uv.lock").read_bytes() == locked
