"""What goldenbench is told; read by the service too, so it imports neither torch nor numpy."""

from studies.datasets.registry import DatasetInfo
from studies.models.registry import ModelInfo

PERCEPTRON = ModelInfo(
    name="perceptron",
    title="Fully connected, 64 hidden units, ReLU",
    factory="goldenbench_example.perceptron:Perceptron",
    learnables_28x28x10=28 * 28 * 64 + 64 + 64 * 10 + 10,
    source="the multilayer perceptron of every textbook",
)

STRIPES = DatasetInfo(
    name="stripes",
    title="2,000 noisy gratings of 12 x 12 in four directions (computed)",
    source="computed by goldenbench_example.stripes",
    licence="CC0 1.0",
    image_shape=(12, 12),
    classes=4,
    images=2_000,
    is_paper_data=False,
    note="not the paper's data: computed gratings",
    grouped=False,
    maker="goldenbench_example.stripes:make",
)
