"""The embedded data set: known bits, fair use of its sources, no hidden randomness."""

import math
import random

import numpy as np
import pytest

from studies.datasets import rotated_digits
from studies.datasets.load import content_sha256
from studies.datasets.raw import RawDataset
from studies.datasets.registry import get

INFO = get("rotated-digits")


def sha(raw: RawDataset) -> str:
    return content_sha256({"images": raw.images, "labels": raw.labels, "groups": raw.groups})


@pytest.fixture(scope="module")
def raw() -> RawDataset:
    return rotated_digits.make(INFO)


def test_content_is_the_registered_one(raw: RawDataset) -> None:
    assert sha(raw) == INFO.content_sha256 == "ff4f978fa12fbafb1804be802fbc8d9e1c2b280285f470153679f150c15c9c6e"


def test_content_does_not_depend_on_global_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    np.random.seed(12345)
    random.seed(12345)
    monkeypatch.setattr(rotated_digits, "CHUNK", 777)
    assert sha(rotated_digits.make(INFO)) == INFO.content_sha256


def test_each_class_has_a_thousand_images_from_fairly_used_sources(raw: RawDataset) -> None:
    assert raw.images.shape == (10_000, 28, 28)
    assert np.bincount(raw.labels).tolist() == [1000] * 10
    for label in range(10):
        uses = np.bincount(raw.groups[raw.labels == label])
        used = uses[uses > 0]
        assert used.max() - used.min() <= 1
    assert len(np.unique(raw.groups)) == 1797


def test_images_use_the_grey_range_and_leave_the_border_nearly_free(raw: RawDataset) -> None:
    assert raw.images.min() == 0
    assert raw.images.max() == 255
    border = raw.images.copy()
    border[:, 1:-1, 1:-1] = 0
    assert (border.max(axis=(1, 2)) > 128).mean() < 0.02
    assert (raw.images.max(axis=(1, 2)) > 200).all()


def test_angles_are_fifth_powers_of_uniform_numbers_within_45_degrees() -> None:
    angles = np.array([rotated_digits.millidegrees(source, 0) for source in range(1797)]) / 1000
    assert np.abs(angles).max() <= 45
    assert abs(angles.mean()) < 4 * 45 / math.sqrt(11 * 1797)
    assert angles.std() == pytest.approx(45 / math.sqrt(11), rel=0.05)
    assert (np.abs(angles) > 22.5).mean() == pytest.approx(1 - 0.5**0.2, abs=0.03)


def test_no_sine_is_so_near_to_a_rounding_boundary_that_a_c_library_could_decide(raw: RawDataset) -> None:
    starts = np.r_[0, np.flatnonzero(np.diff(raw.groups)) + 1]
    variants = np.arange(10_000) - np.repeat(starts, np.diff(np.r_[starts, 10_000]))
    degrees = [rotated_digits.millidegrees(int(g), int(v)) / 1000 for g, v in zip(raw.groups, variants, strict=True)]
    scaled = np.concatenate([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * rotated_digits._STEP
    assert np.abs(scaled - np.floor(scaled) - 0.5).min() > 1e-6


def test_render_turns_counter_clockwise_by_the_known_amount() -> None:
    stroke = np.zeros((1, 8, 8), dtype=np.int64)
    stroke[0, 3:5, 4:] = 16  # from the centre to the right
    upright, turned = (rotated_digits.render(stroke, np.array([angle]))[0] for angle in (0, 90_000))
    assert upright[13, 20] == upright[14, 20] == 255
    assert upright[:9].max() <= 1
    np.testing.assert_array_equal(turned, np.rot90(upright))


def test_render_of_an_even_grey_is_even_inside() -> None:
    even = np.full((1, 8, 8), 9, dtype=np.int64)
    inside = rotated_digits.render(even, np.array([30_000]))[0, 10:18, 10:18]
    assert (inside == 143).all()  # 9 / 16 of 255, rounded
