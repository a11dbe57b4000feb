"""The way that things should go: each source, the cache, and what is kept."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from weights_fakes import CONVERTED, MODEL, PART_1_WHEEL, PART_2_WHEEL, PLAIN, Shop

import aligncap.weights
from aligncap.errors import WeightsError, WeightsHashError, WeightsUnavailableError
from aligncap.weights import sources
from aligncap.weights.cache import cache_root
from aligncap.weights.catalog import load_catalog


def test_wheels_are_joined_converted_and_cached(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    model = shop.store.resolve("toy")
    assert (model / "model.safetensors").read_bytes() == CONVERTED
    assert sorted(path.name for path in shop.toy.iterdir()) == ["model"], "raw files and wheels are deleted"
    first = dict(shop.server.downloads)
    assert first == {PART_1_WHEEL: 1, PART_2_WHEEL: 1}
    said = capfd.readouterr()
    assert said.out == ""
    assert [line.split(" (")[0] for line in said.err.splitlines()] == [
        "toy: downloading toy-part1==1.0",
        "toy: downloading toy-part2==1.0",
        "toy: unpacking",
        "toy: converting",
    ]
    assert shop.store.resolve("toy") == model
    assert shop.server.downloads == first
    assert capfd.readouterr().err == ""


def test_files_without_conversion_keep_their_places(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    model = shop.store.resolve("plain", progress=False)
    assert {name: (model / name).read_bytes() for name in PLAIN} == PLAIN
    assert shop.store.verify("plain") == []
    assert capfd.readouterr().err == ""


def test_the_hub_comes_before_the_wheels(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.hub_on(model_bin=MODEL)
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert shop.server.downloads == {"model.bin": 1}
    assert [line.split(" (")[0] for line in capfd.readouterr().err.splitlines()] == [
        "toy: downloading model.bin from the Hub",
        "toy: converting",
    ]


def why_not_the_hub(shop: Shop, kind: type[WeightsError]) -> str:
    entry = shop.store.catalog["toy"]
    shop.root.mkdir()
    with pytest.raises(kind) as caught:
        sources.from_hub(entry, entry.files, shop.root / "raw", shop.root, sources.Reporter("toy", True))
    assert list(shop.root.rglob("*")) == []
    return str(caught.value)


def test_other_content_on_the_hub_is_refused_before_its_download(shop: Shop) -> None:
    shop.hub_on(model_bin=MODEL[:-1] + b"!")
    why = why_not_the_hub(shop, WeightsHashError)
    assert why.startswith("model.bin in acme/toy on the Hub is not the expected file (sha256 ")
    assert not shop.server.downloads


def test_a_hub_without_the_file(shop: Shop) -> None:
    shop.hub_on()
    assert why_not_the_hub(shop, WeightsUnavailableError) == "the Hub answers 404"


def test_a_hub_that_never_finishes_its_answer_costs_only_seconds(shop: Shop) -> None:
    def drip() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                connection.sendall(b"X-Slow: yes\r\n")

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        shop.hub_on()
        shop.monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.getsockname()[1]}")
        shop.monkeypatch.setattr(sources, "_HUB_PATIENCE_S", 0.3)
        # Should the patience have no end, the server's has.
        end = threading.Timer(3, done.set)
        end.start()
        try:
            assert why_not_the_hub(shop, WeightsUnavailableError) == "the Hub does not answer"
        finally:
            end.cancel()
            done.set()
            dripping.join()


def test_the_hub_library_keeps_its_advice_to_itself(shop: Shop) -> None:
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign, assignment]
    logger = logging.getLogger("huggingface_hub")
    logger.addHandler(handler)
    level = logger.level
    try:
        shop.hub_on(model_bin=MODEL)
        shop.store.resolve("toy")
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in said] == []
    assert logger.level == level


def test_an_unreachable_hub_is_passed_over_quietly(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.hub_on()
    shop.monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert shop.store.resolve("plain", progress=False).is_dir()
    assert capfd.readouterr().err == ""


def test_the_hubs_own_cache_serves_offline(shop: Shop) -> None:
    repo = shop.folder / "hub" / "models--acme--toy"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("c" * 40)
    (repo / "snapshots" / ("c" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("c" * 40) / "model.bin").write_bytes(MODEL)
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert not shop.server.downloads


def test_a_checked_raw_file_is_used_without_a_download(shop: Shop) -> None:
    shop.keep_raw()
    assert shop.store.resolve("toy").is_dir()
    assert not shop.server.downloads


def test_a_new_converter_version_converts_anew(shop: Shop) -> None:
    shop.hub_on(model_bin=MODEL)
    shop.store.resolve("toy")
    shop.data["entries"]["toy"]["convert"]["version"] = 2
    assert shop.store.status("toy").state == "damaged"
    shop.store.resolve("toy")
    assert shop.server.downloads == {"model.bin": 2}
    assert shop.store.status("toy").state == "present"


def test_a_complete_cache_is_only_read(shop: Shop) -> None:
    shop.hub_on(model_bin=MODEL)
    store = shop.store
    store.resolve("toy")
    (shop.root / ".locks" / "toy.lock").unlink()
    before = sorted(shop.root.rglob("*"))
    store.resolve("toy")
    store.fetch("toy")
    assert store.status("toy").state == "present"
    assert sorted(shop.root.rglob("*")) == before


def test_other_users_of_a_shared_cache_can_read_it(shop: Shop) -> None:
    def private(kind: str, raw: Path, out_dir: Path) -> None:
        (out_dir / "model.safetensors").write_bytes(b"x")
        (out_dir / "model.safetensors").chmod(0o600)

    shop.hub_on(model_bin=MODEL)
    model = replace(shop.store, convert=private).resolve("toy")
    assert (model / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_remnants_of_a_kill_after_the_last_step_are_tidied(shop: Shop) -> None:
    shop.hub_on(model_bin=MODEL)
    shop.store.resolve("toy")
    (shop.toy / "raw").mkdir()
    (shop.toy / "work" / "pip-x").mkdir(parents=True)
    shop.store.resolve("toy")
    assert sorted(path.name for path in shop.toy.iterdir()) == ["model"]
    assert shop.server.downloads == {"model.bin": 1}


def test_remove_frees_the_space(shop: Shop) -> None:
    shop.hub_on(model_bin=MODEL)
    store = shop.store
    assert store.remove("toy") == 0
    store.resolve("toy")
    assert store.remove("toy") > len(MODEL)
    assert store.status("toy").state == "absent"


def test_an_unknown_name_lists_the_known(shop: Shop) -> None:
    with pytest.raises(WeightsError, match=r"^nope: no such base weights; known are toy, plain$"):
        shop.store.resolve("nope")


def test_the_cache_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALIGNCAP_CACHE", str(tmp_path))
    assert cache_root() == tmp_path / "weights"
    monkeypatch.setenv("ALIGNCAP_CACHE", "~/there")
    assert cache_root() == Path.home() / "there" / "weights"
    monkeypatch.setenv("ALIGNCAP_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root().parent.name == "aligncap"


def test_the_packaged_catalog_is_complete() -> None:
    catalog = load_catalog()
    assert catalog.presets["embedded"] == ("whisper-base", "smollm2-135m-instruct")
    licences = {name: entry.licence for name, entry in catalog.entries.items()}
    assert licences == {
        "whisper-base": "MIT",
        "whisper-tiny.en": "MIT",
        "smollm2-135m-instruct": "Apache-2.0",
        "all-minilm-l6-v2": "Apache-2.0",
    }
    for entry in catalog.entries.values():
        hashes = [file.sha256 for file in entry.files] + [wheel.sha256 for wheel in entry.wheels]
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
        assert len(set(hashes)) == len(hashes)
        assert entry.hub is not None
        for wheel in entry.wheels:
            assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", wheel.requirement)
        carried = {name for wheel in entry.wheels for name in wheel.members}
        assert carried == {file.name for file in entry.files}


def test_weights_hash_is_that_of_the_raw_file() -> None:
    known = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert aligncap.weights.weights_hash("whisper-base") == known
    with pytest.raises(WeightsError):
        aligncap.weights.weights_hash("nope")
