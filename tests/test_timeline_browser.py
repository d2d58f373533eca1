"""The timeline's page, in a real browser."""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol

import pytest
from baked import TEMPLATE, run
from conftest import Bake
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

MISSING = "needs a browser; on Debian: apt-get install chromium chromium-driver"
TUTORIAL = TEMPLATE / "docs" / "tutorial.md"
PICTURE = TEMPLATE / "docs" / "timeline.png"
SCREEN = {"width": 1200, "height": 230, "deviceScaleFactor": 1, "mobile": False}
DONE, FAILED, RETRIED, KILLED = "#3a8f4d", "#c8322b", "#e8a200", "#8a8a8a"
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"

MAKE = """
import sys
from pathlib import Path
from file_digest.results.journal import Journal
from file_digest.items.events import DIED, KILLED, STARTED, WorkerEvent
from file_digest.items.messages import Outcome

count, hostile, begin = int(sys.argv[1]), sys.argv[2], 1_800_000_000
killed, busy = "killed" in sys.argv, "busy" in sys.argv

def outcome(n):
    ok = n % 7 != 3
    return Outcome(
        hostile if n == 3 else f"item-{n}",
        "done" if ok else "failed",
        "1" if ok else None,
        None if ok else f"Error: {hostile}",
        3 if n % 10 == 5 else 1,
        f"worker-{n % 4 + 1}",
        begin + n // 4 * (0.01 if busy else 0.5),
        0.01 if busy else 0.3 + n % 5 * 0.03,
    )

with Journal(Path("results.db")) as journal:
    journal.events.pending.extend([
        WorkerEvent(begin + 0.1, "worker-1", STARTED, 11),
        WorkerEvent(begin + 2.45, "worker-2", DIED, 12, "worker died: SIGKILL"),
    ])
    if killed:
        attempt = WorkerEvent(begin + 2.45, "worker-2", KILLED, None, "worker died: SIGKILL")
        journal.events.pending.extend([attempt._replace(key="item-5", attempt=1, seconds=0.07)])
    journal.record([outcome(n) for n in range(count)])
"""
BARS_OF_COLOUR = """
const [lane, colour] = arguments;
const wanted = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
const row = barTop(lane) + (colour === RETRIED ? -2 : colour === FAILED ? px(BAR) + 1 : 1);
const pixels = pen.getImageData(0, row, canvas.width, 1).data;
let bars = 0, inside = false;
for (let at = 0; at < pixels.length; at += 4) {
  const is = wanted.every((value, part) => value === pixels[at + part]);
  bars += is && !inside;
  inside = is;
}
return bars;
"""
"""Counts where a colour begins in a lane: exactly that colour, no paler one."""
COLOURS_OF_LANE = """
const [lane] = arguments, seen = {};
const {data} = pen.getImageData(left, barTop(lane), pixels, px(BAR));
for (let at = 0; at < data.length; at += 4) {
  const name = "#" + [0, 1, 2].map(part => data[at + part].toString(16).padStart(2, "0")).join("");
  seen[data[at + 3] ? name : "none"] = (seen[data[at + 3] ? name : "none"] ?? 0) + 1;
}
return seen;
"""
"""Counts the pixels of each colour where a lane's bars are."""


class Show(Protocol):
    """Draws so many items and opens their page."""

    def __call__(self, count: int, *options: str) -> Chrome:
        """Take options: ``killed`` adds an attempt without an outcome, ``busy`` leaves no gaps."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Start a headless browser. In continuous integration there has to be one."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, ChromeService(driver))
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def show(bake: Bake, browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Show:
    """Return a function that draws so many items and opens their page."""
    project = bake()

    @cache
    def drawn(count: int, *options: str) -> str:
        folder = tmp_path_factory.mktemp("drawn")
        run(project.bin / "python", "-c", MAKE, str(count), HOSTILE, *options, cwd=folder)
        run(project.bin / project.slug, "timeline", "--html", "page.html", cwd=folder)
        return (folder / "page.html").as_uri()

    def shown(count: int, *options: str) -> Chrome:
        console(browser)  # what a test before left there
        browser.get(drawn(count, *options))
        return browser

    return shown


def console(page: Chrome) -> list[Any]:
    """Return what the console holds, and empty it."""
    return list(page.get_log("browser"))  # type: ignore[no-untyped-call] # selenium has no types there


def bars(page: Chrome) -> int:
    return int(page.find_element(By.ID, "chart").get_dom_attribute("data-items"))


def hover(page: Chrome, seconds: float, lane: int) -> str:
    """Point at a time in a lane; return what is shown there."""
    x, y = page.execute_script(
        "return [toX(arguments[0]), TOP + (arguments[1] + 0.5) * LANE]", seconds, lane
    )
    chart = page.find_element(By.ID, "chart")
    left, top = -chart.size["width"] / 2, -chart.size["height"] / 2
    ActionChains(page).move_to_element_with_offset(chart, left + x, top + y).perform()
    tip = page.find_element(By.ID, "tip")
    return tip.text if tip.is_displayed() else ""


def test_every_item_is_a_bar_of_its_colour(show: Show) -> None:
    """Each lane has as many bars, counted in the picture, as its worker has outcomes of a kind."""
    page = show(40)
    assert bars(page) == 40
    for lane in range(4):
        mine = range(lane, 40, 4)
        for colour, expected in (
            (FAILED, [n for n in mine if n % 7 == 3]),
            (DONE, [n for n in mine if n % 7 != 3]),
            (RETRIED, [n for n in mine if n % 10 == 5]),
        ):
            assert page.execute_script(BARS_OF_COLOUR, lane, colour) == len(expected)


def test_the_page_loads_without_an_error_or_a_network(show: Show) -> None:
    """Nothing is reported in the console, and nothing but the page itself is fetched."""
    page = show(40)
    assert page.title == "file-digest: results.db"
    assert "40 items (6 failed) by 4 workers" in page.find_element(By.ID, "summary").text
    assert page.execute_script("return performance.getEntriesByType('resource')") == []
    assert console(page) == []


@pytest.mark.parametrize(
    ("seconds", "lane", "shown"),
    [
        (0.2, 0, ["item-0", "done", "by worker-1"]),
        (1.1, 1, ["item-9", "done", "by worker-2"]),
        (1.6, 3, ["item-15", "attempt 3"]),
        (0.1, 3, [HOSTILE, "failed", f"Error: {HOSTILE}"]),
        (0.45, 0, []),
        (2.45, 1, ["worker-2 died", "worker died: SIGKILL"]),
    ],
)
def test_hovering_shows_the_item(show: Show, seconds: float, lane: int, shown: list[str]) -> None:
    """Its name, outcome, attempts, time and worker; a worker's death and its reason."""
    text = hover(show(40), seconds, lane)
    assert all(part in text for part in shown), text
    assert bool(text) == bool(shown)


def test_a_killed_attempt_is_a_bar_and_no_item(show: Show) -> None:
    """It is explained only where there is one."""
    page = show(40, "killed")
    assert bars(page) == 41
    assert page.execute_script(BARS_OF_COLOUR, 1, KILLED) == 1
    assert page.find_element(By.ID, "killed").is_displayed()
    summary = page.find_element(By.ID, "summary").text
    assert "40 items (6 failed, 1 attempts killed) by 4 workers" in summary
    text = hover(page, 2.4, 1)
    assert all(part in text for part in ("item-5", "killed", "worker died: SIGKILL")), text
    assert console(page) == []
    assert not show(40).find_element(By.ID, "killed").is_displayed()


def test_a_hostile_name_is_text(show: Show) -> None:
    """It is shown, and neither run nor made part of the page."""
    page = show(40)
    hover(page, 0.1, 3)
    assert page.title == "file-digest: results.db"
    assert page.find_elements(By.TAG_NAME, "img") == []


@pytest.mark.parametrize("count", [50_000, 200_000])
def test_a_busy_lane_of_many_items_is_one_solid_bar(show: Show, count: int) -> None:
    """Of two colours and no shade between them, in the parts that items of each outcome took."""
    page = show(count, "busy")
    assert bars(page) == count
    for lane in range(4):
        seen = page.execute_script(COLOURS_OF_LANE, lane)
        done, failed = seen.pop(DONE), seen.pop(FAILED)
        assert failed / (done + failed) == pytest.approx(1 / 7, abs=0.03)
        # Beyond the last item the time goes on for a hundredth; marks and grid lines are thin.
        assert sum(seen.values()) < 0.03 * (done + failed)
    assert page.find_element(By.ID, "summed").is_displayed()
    text = hover(page, count / 800, 0)
    assert all(part in text for part in ("done", "% of the time", "failed", "such as item-")), text


@pytest.mark.parametrize("scale", [1.25, 2.0])
def test_colours_are_exact_on_every_screen(show: Show, scale: float) -> None:
    """Bars are exact if a device has more pixels than a page, or a fraction more."""
    page = show(20_000, "busy")
    screen = SCREEN | {"deviceScaleFactor": scale}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        page.execute_script("draw()")
        assert {DONE, FAILED} <= page.execute_script(COLOURS_OF_LANE, 2).keys()
        shades = {*page.execute_script(COLOURS_OF_LANE, 2)} - {DONE, FAILED, "none", "#e4e4e4"}
        assert not shades
    finally:
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)


def test_failed_and_killed_differ_by_more_than_colour(show: Show) -> None:
    """A failed item is striped and marked below its bar; a killed attempt is hollow."""
    page = show(40, "killed")
    row = "return [...pen.getImageData(px(toX(arguments[0])), barTop(arguments[1]) + arguments[2],"
    column = f"{row} 1, px(BAR)).data].filter((_, at) => at % 4 === 0)"
    striped = page.execute_script(column, 0.15, 3, 0)
    assert {0xFF, 0xC8} <= {*striped[:16]}
    assert {*page.execute_script(column, 0.15, 3, 16)[:4]} == {0xC8}
    assert {*page.execute_script(column, 0.15, 0, 0)} == {0x3A}
    hollow = page.execute_script(column, 2.41, 1, 0)
    assert (hollow[0], hollow[8], hollow[15]) == (0x8A, 0xFF, 0x8A)


def test_zooming_shows_fewer_bars_and_back(show: Show) -> None:
    """By button, by key and by wheel."""
    page = show(40)
    chart = page.find_element(By.ID, "chart")
    page.find_element(By.ID, "in").click()
    WebDriverWait(page, 10).until(lambda page: bars(page) < 40)
    halved = bars(page)
    ActionChains(page).send_keys("+").perform()
    WebDriverWait(page, 10).until(lambda page: bars(page) < halved)
    page.find_element(By.ID, "all").click()
    WebDriverWait(page, 10).until(lambda page: bars(page) == 40)
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(chart), 0, -600).perform()
    WebDriverWait(page, 10).until(lambda page: bars(page) < 40)
    assert console(page) == []


def test_a_hundred_thousand_items_are_drawn_in_a_moment(show: Show) -> None:
    """All of them are in the picture, and drawing them again takes less than a second."""
    page = show(100_000)
    assert bars(page) == 100_000
    milliseconds = page.execute_script(
        "const begin = performance.now(); draw(); return performance.now() - begin"
    )
    assert milliseconds < 1000
    assert console(page) == []


def test_the_picture_in_the_docs_is_of_this_page(show: Show) -> None:
    """`make docs` takes it again; the tutorial says of what, and it is drawn in full."""
    page = show(60, "killed")
    picture = page.get_screenshot_as_png()
    if os.environ.get("UPDATE_DOCS"):
        PICTURE.write_bytes(picture)
    assert PICTURE.read_bytes()[:24] == picture[:24]
    shown, _, _ = page.find_element(By.ID, "summary").text.partition(", from")
    assert f"Here is another run: {shown}." in " ".join(TUTORIAL.read_text("utf-8").split())
    assert page.execute_script("return document.body.scrollHeight <= innerHeight")
