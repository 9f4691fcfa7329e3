"""Data sets through torchvision: small files in its formats, and downloads that fail, stall or succeed."""

import bz2
import socket
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from studies.datasets import registry, torchvision_source
from studies.datasets.errors import DatasetInvalid, DatasetUnavailable
from studies.datasets.load import load
from studies.datasets.prepare import prepare

Images = NDArray[np.uint8]
IDX = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}


def write_idx(path: Path, array: Images) -> None:
    """Write an array in the format of the MNIST files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def some(count: int, side: int = 28, seed: int = 0) -> tuple[Images, Images]:
    """Return `count` images and labels of ten classes."""
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)
    return images, (np.arange(count) % 10).astype(np.uint8)


def promise(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> None:
    """Let the registry expect the small files of a test."""
    info = replace(registry.get(name), images=50, **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(registry.DATASETS._infos, name, info)


def write_mnist(folder: Path) -> None:
    """Write 30 training and 20 test images."""
    for part, count in (("train", 30), ("t10k", 20)):
        images, labels = some(count, seed=count)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every download to a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)


def fake_torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Give the downloading process a torchvision whose MNIST does `body`."""
    package = folder / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "datasets.py").write_text(f"class MNIST:\n    def __init__(self, root, train, download):\n{body}")
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize("name", list(IDX))
def test_files_placed_by_hand_are_read_training_images_first(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise(monkeypatch, name)
    write_mnist(tmp_path / "raw" / IDX[name])
    dataset = load(prepare(name, 5, tmp_path).path)
    np.testing.assert_array_equal(dataset.images, np.concatenate([some(30, seed=30)[0], some(20, seed=20)[0]]))
    assert dataset.labels.tolist() == [*(np.arange(30) % 10), *(np.arange(20) % 10)]
    assert np.bincount(dataset.folds).tolist() == [10] * 5
    assert dataset.name == name
    assert len(np.unique(dataset.groups)) == 50


def test_emnist_is_turned_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(monkeypatch, "emnist-digits")
    for part, count in (("train", 30), ("test", 20)):
        images, labels = some(count, seed=count)
        stem = tmp_path / "raw" / "EMNIST" / "raw" / f"emnist-digits-{part}"
        write_idx(stem.with_name(f"{stem.name}-images-idx3-ubyte"), images.transpose(0, 2, 1).copy())
        write_idx(stem.with_name(f"{stem.name}-labels-idx1-ubyte"), labels)
    dataset = load(prepare("emnist-digits", 5, tmp_path).path)
    np.testing.assert_array_equal(dataset.images[:30], some(30, seed=30)[0])
    np.testing.assert_array_equal(dataset.images[30:], some(20, seed=20)[0])


def write_usps(folder: Path) -> None:
    """Write 30 training and 20 test images of 16 x 16, all of one grey each."""
    folder.mkdir(parents=True)
    for name, count in (("usps.bz2", 30), ("usps.t.bz2", 20)):
        lines = [f"{i % 10 + 1} " + " ".join(f"{k}:{i / 15 - 1}" for k in range(1, 257)) for i in range(count)]
        (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def test_usps_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(monkeypatch, "usps", checksums={})
    write_usps(tmp_path / "raw" / "USPS")
    dataset = load(prepare("usps", 5, tmp_path).path)
    assert dataset.image_shape == (16, 16)
    assert dataset.images[[0, 15], 0, 0].tolist() == [0, 127]
    assert dataset.labels[[0, 29, 30]].tolist() == [0, 9, 0]


def test_archive_that_upstream_did_not_publish_is_refused(tmp_path: Path) -> None:
    write_usps(tmp_path / "raw" / "USPS")
    with pytest.raises(DatasetInvalid, match=r"usps.bz2 has md5:\w{32}, upstream publishes md5:ec16c51d"):
        prepare("usps", 5, tmp_path)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "MNIST" / "raw"
    write_mnist(folder)
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-10])
    with pytest.raises(DatasetInvalid, match=r"the files of mnist in .*MNIST/raw cannot be read .* remove them"):
        prepare("mnist", 5, tmp_path)


def test_failed_download_says_what_to_put_where(tmp_path: Path, no_network: None) -> None:
    with pytest.raises(DatasetUnavailable) as error:
        prepare("mnist", 5, tmp_path)
    message = str(error.value)
    assert message.startswith(
        "mnist could not be downloaded (RuntimeError: Error downloading train-images-idx3-ubyte.gz"
    )
    assert "Connection refused" in message
    assert message.endswith(
        "; put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
        f"t10k-labels-idx1-ubyte.gz into {tmp_path}/raw/MNIST/raw and try again"
    )
    assert list((tmp_path / "raw").iterdir()) == [tmp_path / "raw" / "MNIST"]


def test_download_is_moved_into_place_when_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(monkeypatch, "mnist")
    write_mnist(tmp_path / "upstream")
    body = "        import shutil; shutil.copytree(%r, root + '/MNIST/raw', dirs_exist_ok=True)\n"
    fake_torchvision(tmp_path / "fake", monkeypatch, body % str(tmp_path / "upstream"))
    assert len(load(prepare("mnist", 5, tmp_path).path).images) == 50
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["MNIST"]


def test_half_a_download_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "        open(root + '/MNIST/raw/train-images-idx3-ubyte', 'w'); raise OSError('cable\\npulled')\n"
    fake_torchvision(tmp_path / "fake", monkeypatch, body)
    with pytest.raises(DatasetUnavailable, match=r"mnist could not be downloaded \(OSError: cable pulled\); put "):
        prepare("mnist", 5, tmp_path)
    assert list((tmp_path / "raw" / "MNIST" / "raw").iterdir()) == []


def test_download_has_a_limit_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_source, "DOWNLOAD_LIMIT_SECONDS", 0.5)
    fake_torchvision(tmp_path / "fake", monkeypatch, "        import time; time.sleep(60)\n")
    start = time.monotonic()
    with pytest.raises(DatasetUnavailable, match=r"it took longer than 0.5 seconds"):
        prepare("mnist", 5, tmp_path)
    assert time.monotonic() - start < 20


def test_each_connection_has_a_limit_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_torchvision(
        tmp_path / "fake", monkeypatch, "        import socket; raise OSError(socket.getdefaulttimeout())\n"
    )
    with pytest.raises(DatasetUnavailable, match=r"\(OSError: 30.0\)"):
        prepare("mnist", 5, tmp_path)
    assert socket.getdefaulttimeout() is None


def test_archives_placed_by_hand_are_unpacked_by_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_torchvision(
        tmp_path / "fake",
        monkeypatch,
        "        import os; raise OSError(sorted(os.listdir(root + '/MNIST/raw')))\n",
    )
    archive = tmp_path / "raw" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"x")
    promise(monkeypatch, "mnist", checksums={archive.name: "md5:9dd4e461268c8034f5c8564e155c67a6"})
    with pytest.raises(DatasetUnavailable, match=r"OSError: \['train-images-idx3-ubyte.gz'\]"):
        prepare("mnist", 5, tmp_path)
