"""The page, served by `gridmargin up` with no network and no data, in a real Chromium."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LIVES_WITHIN_S = 15


@contextmanager
def serving(folder, port=0):
    """`gridmargin up` from `reference`, stopped as a user would stop it."""
    command = "from gridmargin.interfaces.cli import main; main()"
    arguments = ["up", "--port", str(port), "--source", "reference", "--data-dir", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"up said {line!r}"
            yield found[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=15) in (0, 130)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that answers."""
    with serving(tmp_path_factory.mktemp("up")) as address:
        for _ in range(LIVES_WITHIN_S * 10):
            try:
                with urllib.request.urlopen(f"{address}/v1/status", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                time.sleep(0.1)
        yield address


@pytest.fixture(scope="module")
def browser(chromium_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(chromium_path), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, server):
    """The page, open, with every request and every console message noted."""
    context = browser.new_context(viewport={"width": 1280, "height": 1500}, device_scale_factor=1)
    page = context.new_page()
    page.problems = []
    page.asked = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: page.problems.append(str(e)))
    page.on("request", lambda r: page.asked.append(r.url))
    page.goto(server)
    yield page
    context.close()


def number(page, testid):
    return float(page.get_by_test_id(testid).inner_text().replace(",", ""))


def test_the_page_lives_and_asks_nobody_else(page, server):
    """Factor, range, margin, chart and receipts are there; nothing was asked of any other host; the console is silent."""
    page.get_by_test_id("receipt-row").first.wait_for(timeout=LIVES_WITHIN_S * 1000)
    factor = number(page, "factor-mid")
    low, high = (
        float(n) for n in re.findall(r"[\d.]+", page.get_by_test_id("factor-range").inner_text())[:2]
    )
    assert 0 <= low < factor < high  # a typical hour may well be one of nothing
    assert page.locator("[data-testid=margin-sources] li[data-source]").count() >= 1
    assert number(page, "average-factor") > 0
    assert "not marginal" in page.content()
    assert page.locator("[data-testid=day-chart][data-empty=false] canvas").count() == 1
    assert page.get_by_test_id("source-badge").get_attribute("data-source") == "reference"
    assert page.get_by_test_id("stream-badge").inner_text().lower() == "synthetic request stream"
    assert page.get_by_test_id("error-banner").count() == 0
    assert all(url.startswith((server, "data:", "blob:")) for url in page.asked), page.asked
    assert page.problems == []


def test_receipts_keep_coming_and_totals_grow(page):
    """New rows arrive over the event stream without a reload."""
    page.get_by_test_id("receipt-row").first.wait_for(timeout=LIVES_WITHIN_S * 1000)
    totals = page.get_by_test_id("totals")
    page.wait_for_function(
        "() => Number(document.querySelector('[data-testid=totals]').dataset.requests) > 0"
    )
    before = int(totals.get_attribute("data-requests"))
    first = page.get_by_test_id("receipt-row").first.get_attribute("data-receipt")
    page.wait_for_function(
        "n => Number(document.querySelector('[data-testid=totals]').dataset.requests) > n",
        arg=before,
        timeout=20_000,
    )
    page.wait_for_function(
        "id => document.querySelector('[data-testid=receipt-row]').dataset.receipt !== id",
        arg=first,
        timeout=20_000,
    )


def test_a_receipt_opens_and_every_step_closes(page):
    """A click shows the receipt; its trail reaches the cells and closes."""
    page.get_by_test_id("receipt-row").first.wait_for(timeout=LIVES_WITHIN_S * 1000)
    page.get_by_test_id("receipt-row").last.click()
    panel = page.get_by_test_id("receipt-panel")
    panel.wait_for()
    page.locator("[data-testid=explain][data-closes=true]").wait_for(timeout=15_000)
    assert "generation_coal_mw" in panel.text_content()
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")


def test_a_typical_day_is_marked_as_a_stand_in(page):
    """The chart says in words, for programs and to a screen reader that it is no record of today."""
    chart = page.locator("[data-testid=day-chart][data-empty=false]")
    chart.wait_for(timeout=LIVES_WITHIN_S * 1000)
    assert chart.get_attribute("data-stands-in") == "typical"
    assert "typical day of the season, modelled" in page.get_by_test_id("stand-in").inner_text()
    assert page.locator("[role=img][aria-label^='A stand-in']").count() == 1


INKED = """() => {
    const canvas = document.querySelector('[data-testid=day-chart] canvas');
    const { width, height } = canvas;
    const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    let n = 0;
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > 0) n += 1;
    return n / (width * height);
}"""
"""Share of the chart's pixels that something was drawn on."""


def day_where(browser, server, stands_in):
    """What the page says, and how much of its chart is drawn on, where the server says that this stands in."""
    context = browser.new_context(viewport={"width": 1280, "height": 1500}, device_scale_factor=1)
    page = context.new_page()

    def answer(route):
        real = route.fetch()
        route.fulfill(response=real, json=real.json() | {"stands_in": stands_in})

    page.route("**/factors?*", answer)
    page.goto(server)
    kind = stands_in["kind"] if stands_in else "no"
    page.locator(f"[data-testid=day-chart][data-empty=false][data-stands-in={kind}]").wait_for(timeout=15_000)
    page.wait_for_timeout(300)
    said, inked = page.get_by_test_id("stand-in").all_inner_texts(), page.evaluate(INKED)
    context.close()
    return said, inked


def test_a_record_of_another_day_is_marked_and_the_day_itself_is_not(browser, server):
    """What stands in is named by its date and its plot is hatched; where nothing stands in, neither."""
    record = {"kind": "recorded", "start_utc": "2017-06-28T14:00Z", "end_utc": "2017-06-29T14:00Z"}
    said, inked = day_where(browser, server, record)
    assert len(said) == 1
    assert "the record of 28 Jun 2017" in said[0]
    plain, clean = day_where(browser, server, None)
    assert plain == []
    assert inked > clean + 0.01


def test_another_zone_can_be_picked(page):
    """Germany: the factor and the chart follow; what has no data there is said in words."""
    page.get_by_test_id("factor-mid").wait_for()
    page.get_by_test_id("zone-picker").select_option("DE")
    page.wait_for_function("() => document.body.innerText.includes('Germany')")
    page.locator("[data-testid=margin-sources] li[data-source]").first.wait_for(timeout=15_000)
    assert number(page, "factor-mid") > 0
    assert page.problems == []


def test_the_source_that_is_shown_is_that_of_the_zone(browser, server):
    """An answer for Germany names another source than the server's own: the badge says that one."""
    page = browser.new_page()

    def answer(route):
        got = route.fetch()
        told = got.json() | {"source": {"name": "entsoe", "kind": "recorded", "detail": "tables of Germany"}}
        route.fulfill(response=got, json=told)

    page.route("**/v1/zones/DE/now", answer)
    page.goto(server)
    page.locator("[data-testid=source-badge][data-source=reference]").wait_for(timeout=LIVES_WITHIN_S * 1000)
    page.get_by_test_id("zone-picker").select_option("DE")
    badge = page.locator("[data-testid=source-badge][data-source=entsoe]")
    badge.wait_for(timeout=20_000)
    assert "tables of Germany" in badge.inner_text()
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_the_screen(browser, server, width, scheme):
    """No sideways scrolling at desktop or phone width, light or dark."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(server)
    page.get_by_test_id("receipt-row").first.wait_for(timeout=LIVES_WITHIN_S * 1000)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()


def test_the_picture_in_the_readme_is_taken_here(page):
    """With GRIDMARGIN_SCREENSHOT set, the page's picture goes there; without, only that it can be taken is shown."""
    page.get_by_test_id("receipt-row").nth(5).wait_for(timeout=30_000)
    page.wait_for_timeout(500)
    target = os.environ.get("GRIDMARGIN_SCREENSHOT")
    if target:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
    picture = page.screenshot(path=target, clip={"x": 0, "y": 0, "width": 1280, "height": 1180})
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_a_lost_server_is_said_and_forgiven(browser, tmp_path_factory):
    """When the server goes the page says so; when it is back the page recovers by itself."""
    folder = tmp_path_factory.mktemp("up-again")
    context = browser.new_context()
    page = context.new_page()
    with serving(folder) as address:
        page.goto(address)
        page.get_by_test_id("receipt-row").first.wait_for(timeout=LIVES_WITHIN_S * 1000)
    page.get_by_test_id("error-banner").wait_for(timeout=30_000)
    with serving(folder, int(address.rpartition(":")[2])):
        page.get_by_test_id("error-banner").wait_for(state="detached", timeout=60_000)
    context.close()
