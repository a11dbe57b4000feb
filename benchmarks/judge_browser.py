"""Opens a running ``aligncap judge`` in headless Chromium and votes as a listener would.

    pip install playwright
    aligncap judge pairs.jsonl manifest.csv --db new.sqlite &
    python benchmarks/judge_browser.py http://127.0.0.1:8001 --chromium /usr/bin/chromium \\
        --shots FOLDER --axe axe.min.js

Answers every question with the keys alone (the choices wait for the clip to end), loads the page again halfway, goes
back to change a vote, and cuts the connection during one: it has to be saved when the connection is back. Exits with 1
where something is wrong. The screenshots are to be looked at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
ENABLED = "[data-choice=left]:enabled"


def main() -> None:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--chromium", help="program; by default the one that playwright brings")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=options)
        for name, (width, height, scheme) in LOOKS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            found: list[str] = []
            page.on("pageerror", lambda error, found=found: found.append(f"error: {error}"))
            page.on("console", lambda message, found=found: noted(message, found))
            found += judged(page, arguments, name)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append("the page is wider than the window")
            print(f"{name}: {'; '.join(found) or 'nothing wrong'}", flush=True)
            wrong += found
        browser.close()
    sys.exit(1 if wrong else 0)


def noted(message: Any, found: list[str]) -> None:
    """What the page writes to the console; that the connection was cut is expected."""
    if "ERR_FAILED" not in message.text and "ERR_INTERNET_DISCONNECTED" not in message.text:
        found.append(f"console {message.type}: {message.text}")


def judged(page: Any, arguments: argparse.Namespace, rater: str) -> list[str]:
    """Answer everything; what went wrong."""
    found = []
    enter(page, arguments.address, rater)
    total = page.evaluate("document.getElementById('progress').max")
    page.locator("#ask").wait_for()
    page.keyboard.press("1")
    if answered(page):
        found.append("a vote is taken before the clip was heard")
    page.locator(ENABLED).wait_for()
    look(page, arguments, rater, "question", found)
    page.keyboard.press("1")
    page.locator("#count", has_text="1 of").wait_for()
    enter(page, arguments.address, rater)
    page.locator("#status", has_text="Welcome back: 1").wait_for()
    page.locator(ENABLED).wait_for()
    page.context.set_offline(True)
    page.keyboard.press("4")
    page.locator("[role=alert]", has_text="tried again").wait_for()
    look(page, arguments, rater, "offline", found)
    page.context.set_offline(False)
    page.locator("#count", has_text="2 of").wait_for()
    while answered(page) < total:
        count = answered(page)
        page.locator(ENABLED).wait_for()
        page.keyboard.press(str(1 + count % 4))
        page.locator("#count", has_text=f"{count + 1} of").wait_for(state="attached")
    page.locator("#end").wait_for()
    look(page, arguments, rater, "end", found)
    page.keyboard.press("b")
    page.locator("#ask").wait_for()
    page.locator(ENABLED).wait_for()
    page.keyboard.press("3")
    page.locator("#end").wait_for()
    return found


def enter(page: Any, address: str, rater: str) -> None:
    """Open the page and give a name."""
    page.goto(address)
    page.fill("#name", rater)
    page.keyboard.press("Enter")
    page.locator("#count", has_text="answered").wait_for()


def answered(page: Any) -> int:
    """How many votes the page says are saved."""
    return int(page.locator("#count").text_content().split()[0])


def look(page: Any, arguments: argparse.Namespace, rater: str, step: str, found: list[str]) -> None:
    """A screenshot, and what axe-core finds."""
    if arguments.shots:
        page.screenshot(path=arguments.shots / f"judge-{rater}-{step}.png", full_page=True)
    if arguments.axe:
        page.evaluate(arguments.axe.read_text(encoding="utf-8"))
        for one in page.evaluate("axe.run()")["violations"]:
            found.append(f"axe: {step}: {one['impact']}: {one['id']} ({one['nodes'][0]['html'][:100]})")


if __name__ == "__main__":
    main()
