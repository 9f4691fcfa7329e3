"""A user's own folder of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies.datasets.errors import DatasetInvalid, DatasetUnavailable
from studies.datasets.load import load
from studies.datasets.prepare import check_available, prepare


def save(path: Path, value: int, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    """Write an image of height 4 and width 6 by default, with a mark of its value in one corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size, 10)
    image.putpixel((0, 0), value)
    image.convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make 2 classes of 4 images, in several formats."""
    for label in ("one", "a"):
        for place, suffix in enumerate((".png", ".BMP", ".tif", ".pgm")):
            save(tmp_path / "digit-folder" / label / f"{place}{suffix}", 50 * place + len(label))
    return tmp_path / "digit-folder"


def test_folder_is_read_in_the_order_of_names(root: Path) -> None:
    (root / "a" / "notes.txt").write_text("not an image")
    (root / "a" / ".hidden.png").write_text("not an image either")
    (root / "digitTrain.csv").write_text("beside the classes")
    (root / ".git").mkdir()
    dataset = load(prepare("digit-folder", 2, root.parent).path)
    assert dataset.image_shape == (4, 6)
    assert dataset.classes == 2
    assert dataset.labels.tolist() == [0] * 4 + [1] * 4
    assert dataset.images[:, 0, 0].tolist() == [1, 51, 101, 151, 3, 53, 103, 153]
    assert dataset.groups.tolist() == list(range(8))
    assert [np.bincount(dataset.labels[dataset.split(k).test_index]).tolist() for k in (0, 1)] == [[2, 2]] * 2


def test_colours_become_grey(root: Path) -> None:
    save(root / "a" / "9.png", 77, mode="RGB")
    dataset = load(prepare("digit-folder", 2, root.parent).path)
    assert 77 in dataset.images[:, 0, 0]


def test_changed_folder_is_prepared_again(root: Path) -> None:
    first = prepare("digit-folder", 2, root.parent)
    assert prepare("digit-folder", 2, root.parent) == first
    save(root / "a" / "0.png", 99)
    second = prepare("digit-folder", 2, root.parent)
    assert second.sha256 != first.sha256
    assert first.path.exists()  # a study may be pinned to it


def test_folder_itself_may_be_a_link(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "digit-folder").symlink_to(root, target_is_directory=True)
    assert prepare("digit-folder", 2, other).sha256 == prepare("digit-folder", 2, root.parent).sha256


def test_missing_folder_says_what_to_put_where(tmp_path: Path) -> None:
    for call in (
        lambda: check_available("digit-folder", tmp_path),
        lambda: prepare("digit-folder", 2, tmp_path),
    ):
        with pytest.raises(DatasetUnavailable, match="digit-folder: put one folder per class into it"):
            call()


def test_one_class_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "digit-folder" / "0" / "0.png", 1)
    with pytest.raises(DatasetInvalid, match="at least 2 folders, one per class, got 1"):
        prepare("digit-folder", 2, tmp_path)


def test_empty_class_is_refused(root: Path) -> None:
    (root / "empty").mkdir()
    with pytest.raises(DatasetInvalid, match="empty holds none"):
        prepare("digit-folder", 2, root.parent)


def test_other_size_is_refused(root: Path) -> None:
    save(root / "one" / "3.png", 1, size=(6, 5))
    with pytest.raises(DatasetInvalid, match=r"one/3.png is 5 x 6, the first one 4 x 6"):
        prepare("digit-folder", 2, root.parent)


def test_too_few_images_for_the_folds_are_refused(root: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"cannot be cut into 5 folds: .* class 0 has 4"):
        prepare("digit-folder", 5, root.parent)


@pytest.mark.parametrize("content", [b"", b"not an image", b"cut"])
def test_damaged_image_is_named(root: Path, content: bytes) -> None:
    path = root / "one" / "0.png"
    save(path, 1, size=(200, 200))
    path.write_bytes(path.read_bytes()[:100] if content == b"cut" else content)
    with pytest.raises(DatasetInvalid, match=r"one/0.png cannot be read as an image"):
        prepare("digit-folder", 2, root.parent)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "CMYK"])
def test_image_without_one_meaning_as_grey_is_named(root: Path, mode: str) -> None:
    Image.new(mode, (6, 4)).save(root / "a" / "7.tif")
    with pytest.raises(DatasetInvalid, match=f"a/7.tif is {mode}"):
        prepare("digit-folder", 2, root.parent)


def test_links_that_leave_the_folder_are_refused(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    save(outside / "secret.png", 5)
    link = root / "a" / "link.png"
    link.symlink_to(outside / "secret.png")
    with pytest.raises(DatasetInvalid, match=r"links must stay inside .*link\.png leads to .*secret\.png"):
        prepare("digit-folder", 2, root.parent)
    link.unlink()
    (root / "z").symlink_to(outside, target_is_directory=True)
    with pytest.raises(DatasetInvalid, match=r"links must stay inside .*z leads to"):
        prepare("digit-folder", 2, root.parent)


def test_broken_link_is_named(root: Path) -> None:
    (root / "a" / "8.png").symlink_to(root / "a" / "nothing.png")
    with pytest.raises(DatasetInvalid, match=r"8.png cannot be read"):
        prepare("digit-folder", 2, root.parent)
