"""`python -m workers.agreement`: its statistics by hand, and engines that are right and wrong."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worker_data import toy

from studies.datasets.load import PreparedDataset
from studies.results import Curve, Outcome, TrainingResult
from studies.training import TrainingConfig
from workers import agreement
from workers.agreement import Agreement, compare, main, measure
from workers.devices import default_device
from workers.engine import Hooks
from workers.native import library
from workers.packed_cpu import PackedCpu
from workers.train import ENGINES

built = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")


def results(*accuracies: float) -> list[TrainingResult]:
    """Finished trainings of one epoch, one per seed."""
    return [
        TrainingResult(
            cell=0,
            fold=fold,
            run=0,
            outcome=Outcome.FINISHED,
            accuracy=accuracy,
            brier=0.1,
            loss=0.1,
            train_loss=0.1,
            curve=Curve((accuracy,), (0.1,), (0.1,)),
            correct=b"",
            seconds=1.0,
            engine="any",
            precision="fp32",
            device="any",
            numeric_class="any",
        )
        for fold, accuracy in enumerate(accuracies)
    ]


def compared(found: list[TrainingResult], truth: list[TrainingResult], test_images: int = 1_000_000) -> Agreement:
    return compare(found, truth, (found, truth), loss="sse", test_images=test_images)


# --- the statistics


def test_the_intervals_are_those_of_student() -> None:
    found = compared(results(0.901, 0.902, 0.903), results(0.9, 0.9, 0.9))
    assert (found.n, found.equal, found.outcomes_differ) == (3, 0, 0)
    assert found.accuracy == pytest.approx(0.9)
    assert found.mean == pytest.approx(0.002)
    assert found.std == pytest.approx(0.001)
    assert found.largest == pytest.approx(0.003)
    # t of 2 degrees of freedom: 2.9200 at 0.95 and 4.3027 at 0.975, from a table.
    assert found.interval_90 == pytest.approx((0.002 - 2.92 * 0.001 / 3**0.5, 0.002 + 2.92 * 0.001 / 3**0.5), rel=1e-4)
    assert found.interval_95 == pytest.approx((0.002 - 4.3027e-3 / 3**0.5, 0.002 + 4.3027e-3 / 3**0.5), rel=1e-4)


def test_the_margin_is_for_the_interval_and_not_for_the_mean() -> None:
    truth = results(*[0.9] * 4)
    assert compared(results(0.9001, 0.8999, 0.9002, 0.8998), truth).within_margin
    assert not compared(results(0.91, 0.89, 0.92, 0.88), truth).within_margin
    assert not compared(results(0.9011, 0.9012, 0.9011, 0.9012), truth).within_margin
    assert not compared(results(0.8989, 0.8988, 0.8989, 0.8988), truth).within_margin


def test_equal_accuracies_have_the_error_of_rounding_to_whole_images() -> None:
    found = compared(results(*[0.9] * 4), results(*[0.9] * 4), test_images=1_000)
    assert (found.equal, found.std, found.mean) == (4, 0, 0)
    # t of 3 degrees of freedom at 0.95, from a table, times (1 / 1,000) / sqrt(12 x 4).
    assert found.interval_90[1] == pytest.approx(2.3534 * 1e-3 / 48**0.5, rel=1e-4)


def test_the_effect_of_rounding_alone_stands_beside() -> None:
    same, nudged = results(0.9, 0.9, 0.9), (results(0.901, 0.902, 0.903), results(0.903, 0.905, 0.907))
    found = compare(same, same, nudged, loss="sse", test_images=100)
    assert found.rounding_std == pytest.approx(0.001)
    assert found.reference_rounding_std == pytest.approx(0.002)
    assert found.std == 0


def test_a_training_that_diverges_in_one_engine_only_counts_and_is_told() -> None:
    diverged = replace(
        results(0.1)[0],
        outcome=Outcome.DIVERGED,
        loss=None,
        train_loss=None,
        correct=None,
        curve=Curve((None,), (None,), (None,)),
    )
    found = compared([diverged, *results(0.1, 0.9)[1:]], results(0.9, 0.9))
    assert found.outcomes_differ == 1
    assert found.largest == pytest.approx(0.8)


def test_what_does_not_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="the same replicates in the same order"):
        compared(results(0.9, 0.8), results(0.9, 0.8)[::-1])
    with pytest.raises(ValueError, match="the same replicates in the same order"):
        compare(*[results(0.9, 0.8)] * 2, (results(0.9, 0.8), results(0.9)), loss="sse", test_images=100)
    with pytest.raises(ValueError, match="seeds must be at least 2"):
        compared(results(0.9), results(0.9))


# --- the engines


@pytest.fixture(scope="module")
def dataset() -> PreparedDataset:
    """Hard enough that accuracies stay below 1, with folds large enough to see a margin of 0.001."""
    return toy("rotated-digits", images=1_600, folds=2)


def short(dataset: PreparedDataset, loss: str) -> Agreement:
    found, numeric_class = measure(dataset, "packed-cpu", loss=loss, learning_rate=0.02, seeds=8, epochs=1)
    assert numeric_class.startswith("packed-cpu-")
    return found


@built
@pytest.mark.parametrize("loss", sorted(library.LOSS_NUMBERS))
def test_the_packed_engine_agrees_with_the_reference(dataset: PreparedDataset, loss: str) -> None:
    found = short(dataset, loss)
    assert 0.3 < found.accuracy < 0.99
    assert found.within_margin


def with_configs(change: Callable[[TrainingConfig], TrainingConfig]) -> type[PackedCpu]:
    """An engine that trains something else than it was asked to."""

    class Wrong(PackedCpu):
        def train(
            self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, device: str, threads: int, hooks: Hooks
        ) -> list[TrainingResult]:
            results = super().train([change(config) for config in configs], dataset, device, threads, hooks)
            return [replace(r, fold=c.fold, run=c.run) for r, c in zip(results, configs, strict=True)]

    return Wrong


WRONG = {
    "no momentum": lambda config: replace(config, momentum=0.0),
    "a tenth more learning rate": lambda config: replace(config, learning_rate=1.1 * config.learning_rate),
    "another run's seeds": lambda config: replace(config, run=config.run ^ 1),
    "another loss": lambda config: replace(config, loss="sse"),
    "one batch less": lambda config: replace(config, batch_size=150),
}
"""A wrong weight decay is not among them: six steps do not show it in an accuracy, comparisons of single steps do."""


@built
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_wrong_engine_does_not_agree(
    dataset: PreparedDataset, change: Callable[[TrainingConfig], TrainingConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.train.ENGINES", (with_configs(change)(), *ENGINES[1:]))
    assert not short(dataset, "dual-process").within_margin


# --- the command


@pytest.fixture(scope="module")
def file(dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez_compressed(path, allow_pickle=False, **dataset.arrays())
    return path


@built
def test_the_command_prints_a_line_per_loss(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = ["--loss", "cross-entropy", "--loss", "energy"]
    assert main(["--dataset", str(file), "--seeds", "4", "--epochs", "1", *losses]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("packed-cpu-")
    assert lines[1] == "rotated-digits, 4 seeds of 1 epochs at (0.01587, 0.874), study seed 0, points of accuracy"
    assert [line.split()[0] for line in lines[2:]] == ["loss", "cross-entropy", "energy"]
    assert all(line.endswith("within 0.1") for line in lines[3:])


@built
def test_the_command_says_by_its_exit_status_that_a_difference_is_not_within_the_margin(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "MARGIN", 1e-9)
    command = ["--dataset", str(file), "--seeds", "2", "--epochs", "1", "--loss", "sse", "--json"]
    assert main([*command, "--learning-rate", "0.002"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["learning_rate"], found["seeds"], found["margin"]) == (0.002, 2, 1e-9)
    (row,) = found["losses"]
    assert (row["loss"], row["n"], row["within_margin"]) == ("sse", 2, False)


@built
def test_another_seed_is_another_sample_and_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--dataset", str(file), "--seeds", "4", "--epochs", "1", "--loss", "cross-entropy", "--json"]
    found = []
    for seed in ("0", "1", "1"):
        assert main([*command, "--seed", seed]) in (0, 1)
        found.append(json.loads(capsys.readouterr().out))
    assert [one["seed"] for one in found] == [0, 1, 1]
    assert found[0]["losses"] != found[1]["losses"] == found[2]["losses"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1"], "seeds must be at least 2, not 1"),
        (["--epochs", "0"], "epochs must be at least 1, not 0"),
        (["--seed", "-1"], "seed must be at least 0, not -1"),
        (["--learning-rate", "nan"], "learning_rate: must be a finite number > 0 and <= 1e+06, not nan"),
        (["--learning-rate", "1e39"], "learning_rate: must be a finite number > 0 and <= 1e+06, not 1e+39"),
        (["--dataset", "nowhere.npz"], "nowhere.npz"),
    ],
)
def test_unusable_input_is_named(
    file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dataset", str(file), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said


def test_the_paper_s_stand_in_is_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--seeds", "1"]) == 2
    assert "seeds must be at least 2" in capsys.readouterr().err
    assert list(tmp_path.glob("var/datasets/rotated-digits-10-*.npz"))


@pytest.mark.skipif(default_device() == "cuda", reason="there is a GPU")
def test_an_engine_without_its_device_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", str(file), "--engine", "packed-cuda"]) == 2
    assert "engine packed-cuda needs a GPU, and torch sees none here" in capsys.readouterr().err


def test_without_the_library_no_other_engine_steps_in(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_library", lambda: None)
    assert main(["--dataset", str(file)]) == 2
    assert "engine packed-cpu cannot train paper-cnn in fp32 on cpu" in capsys.readouterr().err
