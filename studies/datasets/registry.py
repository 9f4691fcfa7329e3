"""Which data sets there are. Nothing heavy is imported; each names the function that makes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from studies.datasets.errors import UnknownDataset
from studies.entry_points import Registry, check_name


@dataclass(frozen=True)
class DatasetInfo:
    """What a user should know of a data set before choosing it."""

    name: str
    """Used in a study and in file names: small letters, digits, hyphens."""
    title: str
    """One line for a list."""
    source: str
    """Where the images come from."""
    licence: str
    """Terms of the source; says so where upstream states none."""
    image_shape: tuple[int, int] | None
    """(H, W) in pixels; None if unknown beforehand."""
    classes: int | None
    """Number of classes; None if unknown beforehand."""
    images: int | None
    """Number of images; None if unknown beforehand."""
    is_paper_data: bool | None
    """Whether these are the paper's images; None if only the owner of the folder can tell."""
    note: str
    """What stands beside every result on this data set."""
    grouped: bool
    """Whether it is known which images stem from one source; these never stand on both sides of a split."""
    maker: str
    """`module:function`, called as function(info, data_dir), returns a RawDataset."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """File name of each source archive and its `md5:...`, as upstream or torchvision publishes it."""
    content_sha256: str | None = None
    """sha256 of images, labels and groups as made; None if not known beforehand."""
    folder: str | None = None
    """Folder below the data folder that the owner must fill beforehand; None if nothing is needed."""

    def __post_init__(self) -> None:
        check_name(self.name)
        for text in ("title", "source", "licence", "note"):
            if not getattr(self, text).strip():
                raise ValueError(f"{text} of {self.name} must not be empty")
        if not re.fullmatch(r"[\w.]+:\w+", self.maker):
            raise ValueError(f"maker of {self.name} must be module:function, got {self.maker!r}")
        object.__setattr__(self, "checksums", MappingProxyType(dict(self.checksums)))


_STAND_IN = "not the paper's data: "
_TORCHVISION = "studies.datasets.torchvision_source:make"
_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _md5s(*digests: str) -> dict[str, str]:
    """Name the four archives of a data set in MNIST's form."""
    return {name: f"md5:{digest}" for name, digest in zip(_IDX, digests, strict=True)}


_BUILT_IN = (
    DatasetInfo(
        name="rotated-digits",
        title="10,000 handwritten digits, rotated by up to 45 degrees (embedded)",
        source="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI 1998)",
        licence="CC BY 4.0 (UCI); scikit-learn's copy BSD-3-Clause",
        image_shape=(28, 28),
        classes=10,
        images=10_000,
        is_paper_data=False,
        note=_STAND_IN + "real 8 x 8 digits, enlarged and rotated, stand in for MATLAB's DigitDataset",
        grouped=True,
        maker="studies.datasets.rotated_digits:make",
        content_sha256="ff4f978fa12fbafb1804be802fbc8d9e1c2b280285f470153679f150c15c9c6e",
    ),
    DatasetInfo(
        name="mnist",
        title="MNIST, 70,000 handwritten digits",
        source="Y. LeCun, C. Cortes, C. Burges, through torchvision; training and test images pooled",
        licence="CC BY-SA 3.0",
        image_shape=(28, 28),
        classes=10,
        images=70_000,
        is_paper_data=False,
        note=_STAND_IN + "MNIST, whose digits are upright and seven times as many",
        grouped=False,
        maker=_TORCHVISION,
        checksums=_md5s(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    DatasetInfo(
        name="fashion-mnist",
        title="Fashion-MNIST, 70,000 articles of clothing",
        source="H. Xiao et al. (Zalando), through torchvision; training and test images pooled",
        licence="MIT",
        image_shape=(28, 28),
        classes=10,
        images=70_000,
        is_paper_data=False,
        note=_STAND_IN + "Fashion-MNIST, articles of clothing",
        grouped=False,
        maker=_TORCHVISION,
        checksums=_md5s(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    DatasetInfo(
        name="kmnist",
        title="Kuzushiji-MNIST, 70,000 cursive Japanese characters",
        source="T. Clanuwat et al. (CODH), through torchvision; training and test images pooled",
        licence="CC BY-SA 4.0",
        image_shape=(28, 28),
        classes=10,
        images=70_000,
        is_paper_data=False,
        note=_STAND_IN + "Kuzushiji-MNIST, cursive Japanese characters",
        grouped=False,
        maker=_TORCHVISION,
        checksums=_md5s(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    DatasetInfo(
        name="emnist-digits",
        title="EMNIST digits, 280,000 handwritten digits",
        source="G. Cohen et al. (Western Sydney), through torchvision; training and test images pooled",
        licence="none stated upstream; derived from NIST Special Database 19",
        image_shape=(28, 28),
        classes=10,
        images=280_000,
        is_paper_data=False,
        note=_STAND_IN + "EMNIST digits, upright and 28 times as many",
        grouped=False,
        maker=_TORCHVISION,
        checksums={"gzip.zip": "md5:58c8d27c78d21e728a6bc7b3cc06412e"},
    ),
    DatasetInfo(
        name="usps",
        title="USPS, 9,298 handwritten digits from envelopes",
        source="J. Hull, 1994, LIBSVM's copy, through torchvision; training and test images pooled",
        licence="none stated upstream",
        image_shape=(16, 16),
        classes=10,
        images=9_298,
        is_paper_data=False,
        note=_STAND_IN + "USPS, upright digits of 16 x 16",
        grouped=False,
        maker=_TORCHVISION,
        checksums={
            "usps.bz2": "md5:ec16c51db3855ca6c91edd34d0e9b197",
            "usps.t.bz2": "md5:8ea070ee2aca1ac39742fdd1ef5ed118",
        },
    ),
    DatasetInfo(
        name="digit-folder",
        title="Your own folder of images, one folder per class (such as MATLAB's DigitDataset)",
        source="the folder digit-folder in the data folder: digit-folder/<class>/<image>",
        licence="the owner's; MATLAB's DigitDataset belongs to The MathWorks and may not be passed on",
        image_shape=None,
        classes=None,
        images=None,
        is_paper_data=None,
        note="the paper's data if the folder is MATLAB's DigitDataset, and not otherwise",
        grouped=False,
        maker="studies.datasets.digit_folder:make",
        folder="digit-folder",
    ),
)

DATASETS = Registry("goldenbench.datasets", DatasetInfo, _BUILT_IN)
"""Every registered data set by name; the embedded default is first."""


def get(name: str) -> DatasetInfo:
    """Return the data set of that name.

    Raises:
        UnknownDataset: the message lists the names there are, or says why an entry point was left out.
    """
    try:
        return DATASETS[name]
    except KeyError:
        why = DATASETS.problems.get(name) or f"there are {', '.join(DATASETS)}"
        raise UnknownDataset(f"no data set is named {name!r}; {why}") from None
