"""A service whose items execute code that a test may change meanwhile, and note what they did."""

from collections.abc import Callable
from typing import Any

from .service import Run, Service, wait_for

Services = Callable[..., Service]

QUICK = ""
SHORT = "time.sleep(random.random() * 0.2)"
ENDLESS = "time.sleep(1_000)"


class StoppableService:
    """A service whose items do what the file ``behaviour`` says."""

    def __init__(self, service: Services, behaviour: str) -> None:
        """Make each item execute ``behaviour``."""
        self.service = service("behaving")
        self.behave(behaviour)

    def behave(self, behaviour: str) -> None:
        """Make each item that begins from now on execute ``behaviour``."""
        (self.service.folder / "behaviour").write_text(behaviour)

    def noted(self, name: str) -> list[int]:
        """Return the numbers of the items that ``began`` or ``logged``, as they did."""
        path = self.service.folder / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def start(self, *options: str, items: int = 100_000, **others: Any) -> Run:
        """Begin a run; return once an item has begun."""
        run = self.service.start(str(items), "--workers", "2", *options, **others)
        wait_for(lambda: self.noted("began") or run.process.poll(), "an item to begin")
        assert run.process.returncode is None, run.wait().stderr
        return run
