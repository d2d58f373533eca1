"""Options of ``run`` that only this project's execution model has."""

from ..settings import Option

OPTIONS: dict[str, Option] = {}
