from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import yaml
from doc_pages import PAGES, ROOT, anchors, code_spans, links, prose

_PATH = re.compile(r"(?:benchmarks|configs|docs|examples|src|tests)/[\w./-]*[\w/]")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside the repository"
        if page.parent.name == "docs" and target.parent != page.parent:
            assert target.is_file(), f"{link}: the site can hold a file of the repository, not a folder"
        if anchor:
            on_github, on_site = anchors(target)
            assert anchor in on_github, f"{link}: no such heading on GitHub: {sorted(on_github)}"
            assert anchor in on_site or page.parent.name != "docs", f"{link}: no such heading on the site"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_repository_that_are_named_are_there(page: Path) -> None:
    for span in code_spans(prose(page)):
        for path in _PATH.findall(span):
            whole = re.search(rf"(?<![\w./]){re.escape(path)}", span)  # not the end of another path
            assert not whole or (ROOT / path).exists(), f"`{span}`: there is no {path}"


def test_the_site_has_every_page_and_no_other() -> None:
    def pages(part: object) -> list[str]:
        if isinstance(part, str):
            return [part]
        parts = part.values() if isinstance(part, dict) else part
        return [page for one in parts for page in pages(one)]  # type: ignore[attr-defined]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert len(listed) == len(set(listed))
    copied = {page.removeprefix("repository/") for page in listed if page.startswith("repository/")}
    linked = {link.removeprefix("../") for page in (ROOT / "docs").glob("*.md") for link in links(page)}
    assert copied <= linked, "docs/site_hooks.py copies only what a page links to"
    assert {page for page in listed if not page.startswith("repository/")} == {
        page.name for page in PAGES if page.parent.name == "docs"
    }


def test_the_api_page_has_all_public_names() -> None:
    named = re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    for name in filter(_is_module, named):
        # a function named as its module cannot be reached through the package, so it stands there by itself
        package = importlib.import_module(name)
        modules = {module.name for module in pkgutil.iter_modules(getattr(package, "__path__", []))}
        assert {f"{name}.{one}.{one}" for one in modules & set(package.__all__)} <= set(named)
    public = importlib.import_module("aligncap").__all__
    errors = importlib.import_module("aligncap.errors").__all__
    assert {f"aligncap.{one}" for one in {*public} - {*errors, "__version__"}} <= set(named)


def _is_module(name: str) -> bool:
    parent, _, last = name.rpartition(".")
    if not parent:
        return True
    path = getattr(importlib.import_module(parent), "__path__", None) if _is_module(parent) else None
    return path is not None and any(module.name == last for module in pkgutil.iter_modules(path))
