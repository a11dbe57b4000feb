"""Opens a report of ``aligncap evaluate --html`` in headless Chromium and uses it as a person would.

    pip install playwright
    python benchmarks/report_browser.py REPORT.html --chromium /usr/bin/chromium --shots FOLDER --axe axe.min.js

Checks, in light and dark colours and at the width of a phone: nothing is written to the console or requested from
anywhere, the page is not wider than the window, tables sort, recordings play, the buttons give files, and axe-core
(where its file is given) finds nothing. Exits with 1 where something is wrong. The screenshots are to be looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
PLAY = """async () => {
  const audio = document.querySelector("audio");
  audio.muted = true;
  await audio.play();
  await new Promise((done) => setTimeout(done, 500));
  return audio.currentTime;
}"""


def main() -> None:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--chromium", help="program; by default the one that playwright brings")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        for name, (width, height, scheme) in LOOKS.items():
            options = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
            page = browser.new_page(**options)
            found: list[str] = []
            listen(page, found)
            page.goto(arguments.report.resolve().as_uri())
            page.wait_for_selector("#scored")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append("the page is wider than the window")
            if arguments.shots:
                arguments.shots.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=arguments.shots / f"{name}.png", full_page=True)
            found += used(page)
            if arguments.axe:
                found += accessible(browser.new_page(bypass_csp=True, **options), arguments.report, arguments.axe)
            print(f"{name}: {'; '.join(found) or 'nothing wrong'}")
            wrong += found
        browser.close()
    sys.exit(1 if wrong else 0)


def listen(page: Any, found: list[str]) -> None:
    """Note what the page should never do."""
    page.on("console", lambda message: found.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    local = ("file:", "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(local) else found.append(f"request: {r.url}"))


def used(page: Any) -> list[str]:
    """Sort, search, play, download; what went wrong."""
    found = []
    table = page.locator("#scored table").first
    column = table.locator("th button").nth(1)
    orders = []
    for _ in range(2):
        column.click()
        orders.append([float(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()])
    if orders[0] != sorted(orders[0], reverse=True) or orders[1] != sorted(orders[1]):
        found.append(f"a table sorts wrongly: {orders}")
    if page.locator("audio").count() and not page.evaluate(PLAY) > 0:
        found.append("a recording does not play")
    plots = page.locator("figure.voice svg")
    if plots.count() != page.locator("figure.voice svg[aria-label*=' s']").count():
        found.append("a plot of a voice has no text")
    if plots.count() and page.locator("li:has(figure.voice) audio").count():
        played = page.evaluate(PLAY.replace('"audio"', '"li:has(figure.voice) audio"'))
        if not played > 0 or not page.locator("figure.voice .cursor[style*='visible']").count():
            found.append("no line in the plot follows the recording")
    for plot in page.locator("#curve svg, #coverage svg").all():
        if (
            "; the table has all numbers" not in (plot.get_attribute("aria-label") or "")
            or not plot.locator("path").count()
        ):
            found.append("a curve is empty, or has no text")
    for details in page.locator("#curve details, #coverage details").all():
        details.locator("summary").click()
        if not details.locator("tbody tr").count():
            found.append("a curve has no table")
    files = {"All data (JSON)": "report.json", "Scores (CSV)": "scores.csv", "Captions (CSV)": "captions.csv"}
    if page.locator("#coverage").count():
        files["Coverage (CSV)"] = "coverage.csv"
    for button, name in files.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
        if (
            download.value.suggested_filename != name
            or text.count("\n") < 2
            or (name.endswith("json") and not json.loads(text)["scores"])
        ):
            found.append(f"{name} is not what it should be")
    page.fill("#examples input[type=search]", "no caption says this")
    if page.locator(".cards > li").count():
        found.append("the search does not filter")
    return found


def accessible(page: Any, report: Path, axe: Path) -> list[str]:
    """What axe-core finds."""
    page.goto(report.resolve().as_uri())
    page.wait_for_selector("#scored")
    page.add_script_tag(content=axe.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run()")["violations"]
    return [f"axe: {one['impact']}: {one['id']} ({len(one['nodes'])} times)" for one in violations]


if __name__ == "__main__":
    main()
