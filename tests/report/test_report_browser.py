"""The report in a browser: drawn, quiet, operable, and readable on any screen and on paper."""

import base64
import json

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHARTS = 31  # overview, 4 comparisons, 7 curves, convergence, 7 rates, pretraining, and 10 of analyses


def open_report(browser, rendered) -> None:
    browser.get(rendered.report.as_uri())
    WebDriverWait(browser, 20).until(lambda b: b.execute_script("return document.documentElement.dataset.charts"))


def media(browser, kind: str = "", **features: str) -> None:
    wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": wanted})


def brightness(browser, selector: str, part: str) -> float:
    colour = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, part
    )
    numbers = [float(one) for one in colour[colour.index("(") + 1 : -1].split(",")]
    return sum(numbers[:3]) / 3


def press(browser, key: str) -> None:
    browser.switch_to.active_element.send_keys(key)


def test_it_draws_all_charts_in_silence_and_without_a_request(browser, study):
    open_report(browser, study)
    assert browser.execute_script("return document.querySelectorAll('figure.drawn .live svg').length") == CHARTS
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    report = study.report.as_uri()  # the browser's own first page makes requests too
    assert {one["request"]["url"] for one in requests if one["documentURL"] == report} <= {report, "data:,"}
    assert report in {one["documentURL"] for one in requests}


def test_the_tooltip_of_a_mark_names_its_task_and_condition(browser, study):
    open_report(browser, study)
    mark = browser.find_element(By.CSS_SELECTOR, "[data-chart=overview] .live .mark-symbol path")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
    ActionChains(browser).move_to_element(mark).perform()
    tip = browser.find_element(By.ID, "vg-tooltip-element")
    WebDriverWait(browser, 5).until(lambda _: "visible" in tip.get_attribute("class"))
    assert "Composer of a piece" in tip.text
    assert "pretrained, frozen" in tip.text


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, study):
    open_report(browser, study)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the answer"
    assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(browser, Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "answer"

    button = browser.find_element(By.CSS_SELECTOR, "#cells th:nth-child(3) button")
    browser.execute_script("arguments[0].focus()", button)
    press(browser, Keys.ENTER)
    heading = button.find_element(By.XPATH, "..")
    assert heading.get_attribute("aria-sort") == "ascending"
    scores = "return [...document.querySelectorAll('#cells tbody tr')].map(row => Number(row.cells[2].dataset.value))"
    assert (found := browser.execute_script(scores)) == sorted(found)
    press(browser, Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "descending"
    assert (found := browser.execute_script(scores)) == sorted(found, reverse=True)

    series = browser.find_element(By.CSS_SELECTOR, "#overview button[data-series]")
    browser.execute_script("arguments[0].focus()", series)
    press(browser, Keys.ENTER)
    assert series.get_attribute("aria-pressed") == "true"
    faint = "return [...document.querySelectorAll('[data-chart=overview] .live .mark-symbol path')].filter(p => p.getAttribute('opacity') < 0.5).length"
    WebDriverWait(browser, 5).until(lambda b: b.execute_script(faint) == 21)  # three of four conditions on seven tasks
    unreachable = """
      return [...document.querySelectorAll('.scroll')].filter(one => one.tabIndex !== 0 || !one.getAttribute('aria-label')).length"""
    assert browser.execute_script(unreachable) == 0


def test_a_narrow_screen_does_not_scroll_sideways(browser, study):
    """With its details folded, as it opens, and unfolded."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    open_report(browser, study)
    outside = """
      return [...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, svg, pre') && one.getBoundingClientRect().right > 361).length"""
    for unfold in ("", "document.querySelectorAll('details').forEach(one => { one.open = true })"):
        browser.execute_script(unfold)
        assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
        assert browser.execute_script(outside) == 0
    assert browser.execute_script("return document.querySelectorAll('figure.drawn').length") == CHARTS


def test_colours_follow_the_system_and_the_button_and_motion_the_system(browser, study):
    media(browser, prefers_color_scheme="dark")
    open_report(browser, study)
    assert brightness(browser, "body", "backgroundColor") < 60
    assert brightness(browser, "h1", "color") > 200
    assert brightness(browser, "[data-chart=overview] .live .mark-text text", "fill") > 130
    browser.find_element(By.ID, "theme").click()
    assert brightness(browser, "body", "backgroundColor") > 200
    assert brightness(browser, "[data-chart=overview] .live .mark-text text", "fill") < 130
    motion = "return getComputedStyle(document.documentElement).scrollBehavior"
    assert browser.execute_script(motion) == "smooth"
    media(browser, prefers_reduced_motion="reduce")
    assert browser.execute_script(motion) == "auto"


def test_paper_gets_the_still_charts_whole(browser, study):
    media(browser, prefers_color_scheme="dark")
    open_report(browser, study)
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000
    width = round(186 / 25.4 * 96)  # A4 without its margins, in CSS pixels
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    )
    media(browser, "print", prefers_color_scheme="dark")
    shown = "return [...document.querySelectorAll(arguments[0])].filter(one => getComputedStyle(one).display !== 'none').length"
    assert browser.execute_script(shown, ".still") == CHARTS
    assert browser.execute_script(shown, ".live") == 0
    assert browser.execute_script(shown, "nav") == 0
    cut = "return [...document.querySelectorAll('.still svg, table')].filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
    assert browser.execute_script(cut) == 0
    assert brightness(browser, "h1", "color") < 60


def test_without_javascript_the_still_charts_stand_in(browser, study):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(study.report.as_uri())
    still = browser.find_elements(By.CSS_SELECTOR, ".still svg")
    assert len(still) == CHARTS
    assert all(one.is_displayed() for one in still)
    assert not any(one.is_displayed() for one in browser.find_elements(By.CSS_SELECTOR, ".live, .script-only"))


def test_an_incomplete_study_says_so_before_anything_else(browser, incomplete):
    """On a wide and on a narrow screen."""
    open_report(browser, incomplete)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.title.startswith("Incomplete: ")
    for width, height in ((1280, 900), (360, 740)):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_script("scrollTo({top: 0, behavior: 'instant'})")
        check_the_banner(browser, width, height)


def check_the_banner(browser, width: int, height: int) -> None:
    """It is the first thing on the screen, can be read, and leads to what is missing."""
    banner = browser.find_element(By.CSS_SELECTOR, ".banner")
    assert banner.text.startswith("Incomplete: 19 of 84 runs are missing.")
    assert banner.is_displayed()
    assert (banner.rect["x"], banner.rect["y"]) == (0, 0)
    shown = browser.execute_script("return document.documentElement.clientWidth")
    assert banner.rect["width"] == shown
    assert 40 < banner.rect["height"] < height / 4
    assert brightness(browser, ".banner", "color") - brightness(browser, ".banner", "backgroundColor") > 150
    notice = browser.find_element(By.CSS_SELECTOR, ".notice")
    headline = browser.find_element(By.CSS_SELECTOR, ".headline")
    assert notice.is_displayed()
    assert 0 <= headline.rect["y"] - notice.rect["y"] - notice.rect["height"] < 40
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.find_element(By.CSS_SELECTOR, ".banner a").click()
    section = browser.find_element(By.ID, "missing")
    WebDriverWait(browser, 10).until(
        lambda b: 0 <= b.execute_script("return arguments[0].getBoundingClientRect().top", section) < height / 2
    )


def test_paper_says_what_is_missing(browser, incomplete):
    open_report(browser, incomplete)
    media(browser, "print")
    for selector in (".banner", ".notice", "#missing", "#missing .log", "#cells .alarm"):
        assert browser.find_element(By.CSS_SELECTOR, selector).is_displayed(), selector


def test_words_from_data_do_no_harm(browser, hostile):
    open_report(browser, hostile)
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.get_log("browser") == []
    assert browser.find_element(By.TAG_NAME, "h1").text == "<script>window.hacked = 1</script>"
    labels = browser.execute_script(
        "return [...document.querySelectorAll('[data-chart=overview] .live text')].map(one => one.textContent).join(' ')"
    )
    assert "</script><script>" in labels
