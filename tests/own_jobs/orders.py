"""Prices the rows of CSV files, with all that a job may have but ``count``."""

import csv
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

RETRY = (sqlite3.OperationalError,)
PRICES = {"apple": "0.30", "pear": "0.45"}


@dataclass(frozen=True)
class Order:
    """One row of a file."""

    fruit: str
    pieces: int
    discount: Decimal


def items(inputs: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[str, Order]]:
    """Yield the orders of all files, with the option ``discount`` in percent."""
    if not inputs:
        raise ValueError("no CSV file is given")
    discount = Decimal(options.get("discount", 0)) / 100
    for name in inputs:
        with Path(name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield row["id"], Order(row["fruit"], int(row["pieces"]), discount)


@contextmanager
def lifespan(index: int) -> Iterator[sqlite3.Connection]:
    """Open a database of prices, for each worker."""
    with closing(sqlite3.connect(":memory:")) as prices:
        prices.execute("CREATE TABLE prices (fruit TEXT PRIMARY KEY, price TEXT)")
        prices.executemany("INSERT INTO prices VALUES (?, ?)", PRICES.items())
        log.info("prices are at hand in place %d", index)
        yield prices


def work(order: Order, prices: sqlite3.Connection) -> str:
    """Return what an order costs."""
    row = prices.execute("SELECT price FROM prices WHERE fruit = ?", [order.fruit]).fetchone()
    if row is None:
        raise LookupError(f"no price for {order.fruit}")
    return str(Decimal(row[0]) * order.pieces * (1 - order.discount))


def settled(outcomes: Sequence[Any]) -> None:
    """Log which orders are priced."""
    for outcome in outcomes:
        log.info("order %s is %s", outcome.key, outcome.status)
