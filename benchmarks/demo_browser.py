"""Opens the page of a running ``aligncap serve`` in headless Chromium and uses it as a person would.

    pip install playwright
    aligncap serve &
    python benchmarks/demo_browser.py http://127.0.0.1:8000 RECORDING... --chromium /usr/bin/chromium \\
        --shots FOLDER --axe axe.min.js

For each recording, in light and dark colours and at the width of a phone: it is uploaded and captioned, two prompts are
compared, the JSON is downloaded, by keyboard; then one is recorded with a fake microphone, and a broken file is sent.
Nothing may be written to the console or requested from elsewhere, the page may not be wider than the window, and
axe-core (where its file is given) must find nothing. Exits with 1 where something is wrong. The screenshots are to be
looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PATIENCE = 240_000  # milliseconds


def main() -> None:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--chromium", help="program; by default the one that playwright brings")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox", *MICROPHONE])
        for place, (name, (width, height, scheme)) in enumerate(LOOKS.items()):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.set_default_timeout(PATIENCE)
            found: list[str] = []
            listen(page, arguments.address, found)
            page.goto(arguments.address)
            page.locator("#prompts option").first.wait_for(state="attached")
            for step in (begun, uploaded, recorded if name == "light" else nothing, broken):
                shots = arguments.shots and arguments.shots / f"{name}-{step.__name__}.png"
                found += step(page, arguments.recordings[place % len(arguments.recordings)])
                if shots and step is not nothing:
                    page.screenshot(path=shots, full_page=True)
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    found.append(f"{step.__name__}: the page is wider than the window")
                if arguments.axe and step is not nothing:
                    found += accessible(page, arguments.axe)
            print(f"{name}: {'; '.join(found) or 'nothing wrong'}", flush=True)
            wrong += found
        browser.close()
    sys.exit(1 if wrong else 0)


def listen(page: Any, address: str, found: list[str]) -> None:
    """Note what the page should never do. The browser itself reports refused requests; they are expected."""

    def written(message: Any) -> None:
        if "the server responded with a status of 415" not in message.text:
            found.append(f"console {message.type}: {message.text}")

    page.on("console", written)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    local = (address, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(local) else found.append(f"request: {r.url}"))


def begun(page: Any, recording: Path) -> list[str]:
    """Without a recording, the page says what to do."""
    page.get_by_role("button", name="Caption", exact=True).click()
    said = page.locator("#error").inner_text()
    return [] if "Choose a recording" in said else [f"without a recording it says {said!r}"]


def uploaded(page: Any, recording: Path) -> list[str]:
    """Upload, compare two prompts by keyboard alone, download."""
    found = []
    page.set_input_files("#file", recording)
    page.fill("#second", "Describe only the voice.")
    page.focus("#second")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results section:nth-of-type(2)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download (JSON)").press("Enter")
    answers = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    prompts = [answer["prompt"] for answer in answers]
    if prompts != ["Describe the emotion in the voice.", "Describe only the voice."]:
        found.append(f"the download has the prompts {prompts}")
    captions = answers[0]["captions"]
    shown = page.locator("#results .head + .said .text").all_inner_texts()
    if shown != [one["caption"] for one in captions]:
        found.append(f"shown are {shown}")
    if page.locator("svg[role=img]").count() != len(captions) + (len(captions) > 1):
        found.append("a picture is missing")
    if page.evaluate("document.activeElement.tagName") == "BODY":
        found.append("the focus is lost")
    page.get_by_role("button", name="Play", exact=False).first.click()
    page.wait_for_timeout(400)
    if not page.evaluate("document.getElementById('player').currentTime") > 0:
        found.append("the recording does not play")
    page.evaluate("document.getElementById('player').pause()")
    return found


def recorded(page: Any, recording: Path) -> list[str]:
    """Record from the microphone that Chromium pretends to have: it beeps."""
    page.fill("#second", "")
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop recording").click()
    page.locator("#chosen", has_text="recording.").wait_for()
    page.get_by_role("button", name="Caption", exact=True).click()
    page.locator("#status", has_text="Done").wait_for()
    title = page.locator("#results section h2").last.inner_text()
    length = float(title.split(" to ")[1].split()[0])
    return [] if 1.5 < length < 5 else [f"2.5 s were recorded, and {title!r} captioned"]


def broken(page: Any, recording: Path) -> list[str]:
    """A file that is no recording: said in words, to screen readers too."""
    page.set_input_files("#file", {"name": "<b>broken</b>.wav", "mimeType": "audio/wav", "buffer": b"no audio" * 99})
    page.get_by_role("button", name="Caption", exact=True).click()
    page.locator("[role=alert]", has_text="no decoder").wait_for()
    if page.locator("#chosen b").count():
        return ["a file's name became HTML"]
    return []


def nothing(page: Any, recording: Path) -> list[str]:
    """Skip a step."""
    return []


def accessible(page: Any, axe: Path) -> list[str]:
    """What axe-core finds."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run()")["violations"]
    return [f"axe: {one['impact']}: {one['id']} ({one['nodes'][0]['html'][:100]})" for one in violations]


if __name__ == "__main__":
    main()
