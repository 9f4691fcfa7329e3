"""What a study answers. Scores and what is made of them are fractions; null where a number cannot be had."""

from typing import Literal

from typing_extensions import TypedDict

from studies.documents import document


@document
class WarningDocument(TypedDict):
    """Something that a reader of an answer has to know."""

    code: str
    text: str


@document
class IntervalDocument(TypedDict):
    """An estimate with two-sided limits."""

    estimate: float | None
    low: float | None
    """null where the data set no lower limit"""
    high: float | None
    """null where the data set no upper limit"""


@document
class DivergenceDocument(TypedDict):
    """How often the trainings of a cell diverge, with 95 % limits."""

    diverged: int
    n: int
    """trainings with a score"""
    rate: float | None
    """null before the first"""
    low: float
    high: float


@document
class CellSummaryDocument(TypedDict):
    """What is known of one cell."""

    cell: int
    """its number in the study; 0 is the prescribed point"""
    label: str | None
    """the names it goes by; null for a grid point"""
    learning_rate: float
    momentum: float
    effective_learning_rate: float
    """learning_rate / (1 - momentum)"""
    mean: float | None
    """over its own trainings, diverged ones with their documented score"""
    std: float | None
    """of one training, over all folds and runs; null below two"""
    n: int
    """trainings with a score"""
    diverged: int
    divergence: DivergenceDocument | None
    rank: int | None
    """1 + number of grid cells with a higher mean"""
    percentile: float | None
    """share of grid cells whose mean is not higher, in [0, 1]; null off the grid"""
    difference: IntervalDocument | None
    """this cell minus the prescribed one, over the replicates that both have; null for the prescribed one itself"""


@document
class RegretDocument(TypedDict):
    """How far the prescribed point is below the best cell."""

    estimate: float | None
    """as it stands: biased upwards, since the winner was selected on the same trainings"""
    cross_fitted: float | None
    """selected on one half, measured on the other; may be negative"""
    low: float | None
    high: float | None
    """null where the data set no upper limit"""


@document
class ConfidenceSetDocument(TypedDict):
    """Cells that the data cannot tell from the best."""

    cells: list[int]
    share: float | None
    """of the grid's area in logarithmic coordinates, in [0, 1]"""


@document
class DiagonalDocument(TypedDict):
    """Cells of one effective learning rate, in the order of their momentum."""

    effective_learning_rate: float
    cells: list[int]
    left_out: list[int]
    """cells of this effective rate that diverged at least once or have no training"""
    momentum: list[float]
    mean: list[float]
    p_value: float | None
    """of `all means are equal`, corrected for all pairs"""
    slope: IntervalDocument | None
    """change of the score per decade of 1 - momentum"""


@document
class RidgeDocument(TypedDict):
    """Does the momentum matter at one effective learning rate?"""

    question: str
    matters: bool | None
    """on the prescribed point's diagonal; null: no test possible"""
    p_value: float | None
    prescribed: DiagonalDocument | None
    diagonals: list[DiagonalDocument]
    """all with at least two usable cells, by effective rate"""
    joint_p_value: float | None
    """of `momentum matters on no diagonal`"""


@document
class SpanDocument(TypedDict):
    """An estimate in decades with limits of the bootstrap, null with one replicate."""

    estimate: float
    low: float | None
    high: float | None


@document
class SurfaceDocument(TypedDict):
    """A quadratic through the cells' means: a summary of the landscape, never the source of the verdict."""

    coefficients: list[float]
    """of 1, x, y, x^2, x y, y^2 with x, y in decades from `centre`"""
    centre: list[float]
    """log10 learning rate and log10(1 - momentum)"""
    cells: int
    """grid cells in the fit; those that diverged at least once stay out"""
    r_squared: float | None
    shape: Literal["peak", "saddle", "bowl", "flat"]
    learning_rate: float
    """of the optimum within the grid"""
    momentum: float
    on_edge: bool
    log10_learning_rate: SpanDocument
    log10_one_minus_momentum: SpanDocument
    log10_effective_rate: SpanDocument
    distance_decades: SpanDocument
    """from the prescribed point to the optimum"""
    along_effective_rate_decades: SpanDocument
    """log10 of the optimum's effective rate minus that of the prescribed point"""
    draws: float | None
    """draws of a random search whose expected best equals the prescribed point on this surface"""
    confidence: float


@document
class PopulationDocument(TypedDict):
    """The regret's interval for one population."""

    speaks_for: str
    estimate: float
    low: float | None
    high: float | None
    df: int
    """degrees of freedom"""
    heuristic: bool
    """whether the limits rest on a rule of thumb"""


@document
class PopulationsDocument(TypedDict):
    """What the interval speaks for; the verdict is read from `seeds`."""

    seeds: PopulationDocument | None
    new_data: PopulationDocument | None
    """null below three folds"""


@document
class SecondaryCellDocument(TypedDict):
    """One cell by a secondary score."""

    cell: int
    learning_rate: float
    momentum: float
    std: float | None
    n: int
    mean: float | None


@document
class SecondaryDocument(TypedDict):
    """The same question by a score of which less is better, in units of that score."""

    score: str
    lower_is_better: bool
    regret: RegretDocument
    prescribed: SecondaryCellDocument
    best: SecondaryCellDocument


@document
class SecondariesDocument(TypedDict):
    """Other scores; null where a cell always diverged and so has none."""

    brier: SecondaryDocument | None
    train_loss: SecondaryDocument | None


@document
class RaceDocument(TypedDict):
    """How far a race has come and what it spared."""

    rounds: list[int]
    """runs per fold at the end of each round"""
    runs: int
    """of the rounds up to the present one"""
    dropped: int
    """cells out of the running"""
    planned: int
    """trainings without a race"""
    trained: int
    saved: int


@document
class AnswerDocument(TypedDict):
    """Does the prescribed point sit near the best of the cells tried?"""

    verdict: Literal["equivalent", "inferior", "undecided"]
    sentence: str
    """the verdict in words, with its interval"""
    not_said: str
    """what it does not say"""
    margin: float
    """the loss that does not matter, fixed before the run"""
    confidence: float
    """what the study promises over all its rounds and looks"""
    level: float
    """confidence at which every limit was computed"""
    n: int
    """paired replicates: (fold, run) in which every cell has a score"""
    regret: RegretDocument
    replicates_needed: int | None
    """that settle it with a probability of 80 % if the truth is as it looks; null beyond ten times n"""
    prescribed: CellSummaryDocument
    best: CellSummaryDocument | None
    references: list[CellSummaryDocument]
    confidence_set: ConfidenceSetDocument
    landscape: list[float | None]
    """each cell's mean on one footing: the prescribed point's, plus the mean difference to it over the replicates that
    both have"""
    divergence: list[DivergenceDocument]
    """one for each cell"""
    ridge: RidgeDocument | None
    surface: SurfaceDocument | None
    """null where the grid does not determine one"""
    populations: PopulationsDocument
    warnings: list[WarningDocument]
    method: str
    """how it was computed"""
    looks: int
    """how often the answer could be seen; each extension after a result is one more"""
    racing: RaceDocument | None
    secondary: SecondariesDocument
    data_note: str
    """whether these are the paper's data"""
