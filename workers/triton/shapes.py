"""Sizes of a pack's tensors and tiles; nothing here depends on K, or a network's bits would."""

from dataclasses import dataclass

from studies.models.paper_cnn import FILTERS, KERNEL

TAPS = KERNEL * KERNEL
MOMENTS = TAPS + TAPS * TAPS
"""Numbers in one set of patch moments: mean [25], covariance [25, 25]."""
TAP_LANES = 32
"""`TAPS` rounded up to a power of two, as Triton's tiles are; lane 25 is a pixel of 1, which carries the offset."""
FILTER_LANES = 32
"""`FILTERS` rounded up; filters that do not exist have zero weights."""
LEAST_LANES = 16
"""The least side of a tile that `tl.dot` takes."""
MOST_CLASSES = 64
"""More would need the connected layer's tile to be cut along the classes."""


@dataclass(frozen=True)
class Tiles:
    """How the work of one network is cut. A network's bits depend on all of it, so it is one constant per version."""

    images: int = 128
    """Images at once in a convolution; a batch of the paper's in one piece, so that its weights are read once."""
    positions: int = 72
    """Positions of the filter per program: 8 programs per network and 128 images of 28 x 28."""
    loss_images: int = 32
    """Images at once in the float64 arithmetic of the losses."""
    warps: int = 4
    """Of a program."""
    backward_warps: int = 8
    """With 4, the kernel compiled for sm_90 takes all 255 registers of a thread and spills; with 8 it takes 118."""
    dot: str = "ieee"
    """`input_precision` of every product. Triton's own default is tf32, and its interpreter ignores it: `tf32x3`
    waits here for its parity to be measured on a GPU, and no study can ask for it."""


TILES = Tiles()


@dataclass(frozen=True)
class Shape:
    """Sizes that follow from the data set and the batch."""

    height: int
    width: int
    classes: int
    batch: int

    def __post_init__(self) -> None:
        if self.classes > MOST_CLASSES:
            raise ValueError(f"packed-cuda trains at most {MOST_CLASSES} classes, not {self.classes}")

    @property
    def columns(self) -> int:
        """Positions of the filter in a row of the image."""
        return self.width - KERNEL + 1

    @property
    def positions(self) -> int:
        """P, positions of the filter in an image."""
        return (self.height - KERNEL + 1) * self.columns

    @property
    def features(self) -> int:
        """Inputs of the connected layer."""
        return FILTERS * self.positions

    @property
    def class_lanes(self) -> int:
        """`classes` rounded up to a power of two that `tl.dot` takes."""
        return max(LEAST_LANES, 1 << (self.classes - 1).bit_length())

    def splits(self, tiles: Tiles) -> int:
        """S, programs that share the positions of one image."""
        return -(-self.positions // tiles.positions)
