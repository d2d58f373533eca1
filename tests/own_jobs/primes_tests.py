"""The job: factors of numbers."""

from collections.abc import Callable
from math import prod

from file_digest import job

from .support.service import Service


def test_factors_make_the_number() -> None:
    """Their product is the number, whatever the number."""
    for _, number in job.items(["1000"]):
        assert prod(job.work(number)) == number


def test_the_service_does_them_all(service: Callable[..., Service]) -> None:
    """Each number has its factors in the journal."""
    one = service(None)
    assert one.run("50").code == 0
    assert len(one.outcomes()) == 48
    assert one.outcomes()["number-12"]["result"] == "[2, 2, 3]"
