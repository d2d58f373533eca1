"""A git repository: the template's, or a project's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from baked import run

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com")


@dataclass(frozen=True)
class Repository:
    """A repository, and what a test may want to do with it."""

    path: Path

    @classmethod
    def begin(cls, path: Path) -> Self:
        """Make a repository of a folder; its first revision has all that is there."""
        repository = cls(path)
        repository.git("init", "--quiet")
        repository.commit()
        return repository

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        return run("git", *IDENTITY, *arguments, cwd=self.path).stdout

    def commit(self) -> None:
        """Make a revision of all that is there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "revision")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that is there once."""
        path = self.path / file
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new), "utf-8")
