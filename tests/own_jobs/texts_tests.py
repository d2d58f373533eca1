"""The job: scores of texts, by a model that each worker loads."""

from collections.abc import Callable

from file_digest import job

from .support.service import Service


def test_known_words_count() -> None:
    """Others are worth nothing."""
    assert job.work("good-odd", {"good": 2}) == {"score": 2, "leaked": 0}


def test_workers_load_the_model(service: Callable[..., Service]) -> None:
    """From the folder in which the service is run."""
    one = service(None)
    (one.folder / "model.json").write_text('{"good": 1, "bad": -3}', encoding="utf-8")
    assert one.run("good", "bad").code == 0
    assert '"score": -3' in one.outcomes()["bad"]["result"]
