"""Numbers of workers while there are more or fewer of them."""

import pytest

from file_digest.settings import MOST_WORKERS
from file_digest.workers.places import Places, place_of

RESIZED = [
    ("more, all at work", 2, [0, 1], 3, [2]),
    ("more, none at work yet", 2, [], 3, [0, 1, 2]),
    ("fewer, none at work yet", 3, [], 1, [0]),
    ("fewer, all at work", 3, [0, 1, 2], 1, []),
    ("as many as before", 2, [0], 2, [1]),
]


@pytest.mark.parametrize("row", RESIZED, ids=[row[0] for row in RESIZED])
def test_places_are_free_up_to_the_number_wanted(
    row: tuple[str, int, list[int], int, list[int]],
) -> None:
    """Those that somebody holds are not; the lowest is taken first."""
    _, before, held, wanted, free = row
    places = Places(before)
    for place in held:
        places.free.remove(place)
    places.resize(wanted, held)
    assert places.free[::-1] == free


def test_a_place_that_is_held_is_free_once_it_is_released() -> None:
    """Wanted again while its worker leaves; a place too many is gone for good."""
    places = Places(3)
    places.free.clear()
    places.resize(1, {0, 1, 2})
    places.resize(2, {0, 1, 2})
    assert places.free == []
    places.release(1)
    places.release(2)
    assert places.free == [1]


def test_a_successor_has_the_other_number_of_a_place() -> None:
    """Once, and not if the place has gone; a place that waits for it is not freed twice."""
    places = Places(2)
    places.free.clear()
    places.free_beside(1)
    places.free_beside(1)
    assert places.free == [1 + MOST_WORKERS]
    places.release(1)
    assert list(map(place_of, places.free)) == [1]
    places.resize(1, {0, 1})
    assert places.free == []
