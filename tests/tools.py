"""The tools that are installed beside pytest, whether or not their environment is activated."""

import subprocess
import sysconfig
from pathlib import Path

from baked import run

TOOLS = Path(sysconfig.get_path("scripts"))


def use(
    tool: str, *arguments: str | Path, cwd: Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a tool in a folder; by default it must succeed."""
    return run(TOOLS / tool, *arguments, cwd=cwd, check=check)
