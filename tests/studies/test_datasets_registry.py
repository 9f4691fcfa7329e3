"""The registry: complete, light, and in step with what upstream publishes."""

import subprocess
import sys
from dataclasses import replace

import pytest

from studies.datasets.errors import DatasetError, DatasetUnavailable, UnknownDataset
from studies.datasets.registry import DATASETS, get

NAMES = ["rotated-digits", "mnist", "fashion-mnist", "kmnist", "emnist-digits", "usps", "digit-folder"]


def test_names_are_those_of_the_design() -> None:
    assert list(DATASETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_says_what_it_is(name: str) -> None:
    info = get(name)
    assert info.name == name
    assert all((info.title, info.source, info.licence, info.note))
    assert info.note.startswith("not the paper's data: ") == (info.is_paper_data is False)


def test_get_lists_the_names_when_unknown() -> None:
    with pytest.raises(ValueError, match="no data set is named 'minst'; there are rotated-digits, mnist,"):
        get("minst")
    with pytest.raises(UnknownDataset):
        get("")


def test_register_adds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_infos", DATASETS._infos.copy())
    mine = replace(get("mnist"), name="mine")
    DATASETS.register(mine)
    assert get("mine") is mine
    with pytest.raises(ValueError, match="named mine is registered already, by goldenbench"):
        DATASETS.register(mine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../etc"}, "small letters"),
        ({"licence": " "}, "licence of mnist must not be empty"),
        ({"maker": "no colon"}, "module:function"),
    ],
)
def test_info_refuses_nonsense(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(get("mnist"), **change)  # type: ignore[arg-type]


def test_mappings_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        DATASETS["x"] = get("mnist")  # type: ignore[index]
    with pytest.raises(TypeError):
        get("mnist").checksums["x"] = "y"  # type: ignore[index]


def test_checksums_are_those_of_torchvision() -> None:
    from torchvision import datasets

    for name, cls in (
        ("mnist", datasets.MNIST),
        ("fashion-mnist", datasets.FashionMNIST),
        ("kmnist", datasets.KMNIST),
    ):
        assert dict(get(name).checksums) == {file: f"md5:{md5}" for file, md5 in cls.resources}
    assert dict(get("emnist-digits").checksums) == {"gzip.zip": f"md5:{datasets.EMNIST.md5}"}
    usps = {file: f"md5:{md5}" for _, file, md5 in datasets.USPS.split_list.values()}
    assert dict(get("usps").checksums) == usps


def test_errors_speak_by_default() -> None:
    assert str(DatasetUnavailable()) == DatasetUnavailable.__doc__
    assert str(DatasetError("because")) == "because"


def test_registry_load_and_prepare_import_nothing_heavy() -> None:
    code = (
        "import sys, studies.datasets.registry\n"
        "assert 'numpy' not in sys.modules\n"
        "import studies.datasets.load, studies.datasets.prepare\n"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
