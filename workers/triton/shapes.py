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
    """How the work of one network is cut, and what multiplies. A network's bits depend on all of it, so it is one
    constant per precision and version."""

    dot: str
    """What `split.product` calls its precision. `input_precision` of Triton is named in it throughout, as its default
    is plain tf32."""
    backward_images: int
    """Images at once in the backward pass."""
    backward_warps: int
    """Of a program of the backward pass. On tensor cores four: 64 features make no more."""
    images: int = 128
    """Images at once in the forward pass; a batch of the paper's in one piece, so that its weights are read once."""
    pairs: int = 36
    """Pairs of positions of the filter per program: 8 programs per network and 128 images of 28 x 28."""
    loss_images: int = 32
    """Images at once in the float64 arithmetic of the losses."""
    forward_warps: int = 8
    """Of a program of the forward pass."""
    warps: int = 4
    """Of any other program."""
    stages: int = 1
    """Depth to which loads run ahead of the convolutions: more of it costs registers and shared memory, and what it
    gains only a GPU can tell. It alone does not touch a bit."""


TILES = {
    "fp32": Tiles(dot="ieee", backward_images=64, backward_warps=8),
    "tf32x3": Tiles(dot="tf32x3", backward_images=32, backward_warps=4),
}
"""By the precision that a study asks for. Larger tiles of the backward pass spill registers when compiled for sm_90."""


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
    def pairs(self) -> int:
        """Pairs of neighbouring positions in an image; in a row of an odd number the last one is half."""
        return (self.height - KERNEL + 1) * -(-self.columns // 2)

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
        return -(-self.pairs // tiles.pairs)
