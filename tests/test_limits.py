"""The generated tests pass where little is granted.

They are run by an ordinary user who has 256 descriptors, in a folder with a quote, a blank and a
bracket in its name, with a TMPDIR of 100 characters, while another program keeps a core busy.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from baked import BakedProject, run
from conftest import CHOICES, Bake
from test_container import MOUNT_NAMESPACE, works
from test_execute import same_for_all_models

NOBODY = 65534
ODD = "it's a [new] place"
LIMITED = 'ulimit -Sn 256; exec "$@"'
CONDITIONS = """
import os, resource, tempfile
assert os.geteuid() != 0
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256
assert len(tempfile.gettempdir()) == 100
"""
FAULTS = ("-m", "", "tests/test_log_faults.py", "tests/test_path_faults.py")

is_root = os.geteuid() == 0
can_become_another = not is_root or works("setpriv", f"--reuid={NOBODY}", "true")
needs_an_ordinary_user = pytest.mark.skipif(
    not can_become_another, reason="root needs setpriv, of util-linux, to become another user"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike pytest's own."""
    with TemporaryDirectory(prefix="limits-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        place = Path(folder, ODD)
        place.mkdir()
        yield place


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep a core busy meanwhile."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            yield
        finally:
            other.kill()


def own(folder: Path) -> None:
    """Give a folder to the user who runs the tests."""
    if is_root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def temporary(place: Path) -> Path:
    """Make a folder whose path has 100 characters."""
    folder = place.parent / ("t" * (99 - len(str(place.parent))))
    folder.mkdir()
    own(folder)
    return folder


def limited(python: Path) -> tuple[str, ...]:
    """Return what stands before a command that is run as an ordinary user, with few descriptors."""
    bash = ("bash", "-euc", LIMITED, "bash")
    if not is_root:
        return bash
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return (*within_reach(python), *user, *bash)


def within_reach(python: Path) -> tuple[str, ...]:
    """Return what stands before a command that needs an interpreter which lies in root's home.

    In a mount namespace of its own there is nothing in that home but the interpreter.
    """
    closed = [path for path in python.parents if not path.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return ()
    home, installed = closed[-1], python.parent.parent
    script = f"""
        open=$(mktemp --directory)
        mount -t tmpfs -o mode=755 tmpfs "$open"
        mkdir --parents "$open/{installed.relative_to(home)}"
        mount --rbind "{installed}" "$open/{installed.relative_to(home)}"
        mount --rbind "$open" "{home}"
        exec "$@"
    """
    return (*MOUNT_NAMESPACE, "bash", "-euc", script, "bash")


@needs_an_ordinary_user
@pytest.mark.xdist_group("limits")  # one core is kept busy, not two
@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("execution_model", CHOICES["execution_model"])
def test_little_will_do(bake: Bake, bake_again: Bake, place: Path, execution_model: str) -> None:
    """The daily tests pass in one process, and a row of each fault of log and paths.

    Not so what needs no process and no descriptor: pages of the timeline, and with the other models
    what is the same for all.
    """
    rendered = bake_again(execution_model=execution_model)
    own(rendered.path)
    project = BakedProject.at(Path(shutil.move(rendered.path, place)))
    before = limited((project.bin / "python").resolve())
    environ = {"TMPDIR": str(temporary(place)), "HOME": str(project.path)}
    few = {"FAULT_ROWS": "1", "FAULT_TRIES": "1"}

    def as_user(command: str, *arguments: str) -> str:
        command = str(project.bin / command)
        return run(*before, command, *arguments, cwd=project.path, environ=environ | few).stdout

    first = execution_model == CHOICES["execution_model"][0]
    elsewhere = {"test_timeline.py"} if first else same_for_all_models(bake)
    ignored = [f"--ignore=tests/{name}" for name in sorted(elsewhere)]
    with busy_core():
        as_user("python", "-c", CONDITIONS)
        assert " passed" in as_user("pytest", "-q", *ignored)
        assert " passed" in as_user("pytest", "-q", *FAULTS)
