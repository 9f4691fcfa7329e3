"""The studies behind the findings: their specifications follow their formulas, and the page follows their results."""

import dataclasses
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_data import result

from service.findings import __main__ as command
from service.findings.catalog import FIRST, SECOND, findings, table_1, table_1_name
from service.findings.conditions import CONDITIONS
from service.findings.landscapes import LANDSCAPES
from service.findings.page import TABLES, filled
from service.findings.pictures import draw_landscapes
from service.findings.trained import network_epochs, read, read_all
from studies import golden
from studies.catalog import Preset, presets
from studies.grid import cells, prescribed
from studies.losses import LOSSES
from studies.parts import NamedPoint
from studies.results import TrainingResult
from studies.spec import StudySpec

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
ETA, ALPHA = golden.LEARNING_RATE, golden.MOMENTUM


def named(study: str) -> dict[str, tuple[float, float]]:
    """References of a study of the findings that have a name of their own."""
    found = {}
    for reference in findings()[study].spec.references:
        assert isinstance(reference, NamedPoint)
        found[reference.name] = (reference.learning_rate, reference.momentum)
    return found


def empty_page() -> str:
    return "".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in [*TABLES, "costs"])


# --- specifications


def test_every_file_is_a_study_by_its_name_and_no_preset() -> None:
    files = {
        entry.name.removesuffix(".yaml") for entry in resources.files("studies.catalog").joinpath("findings").iterdir()
    }
    assert files == {*FIRST, *SECOND}
    catalog = findings()
    assert all(catalog[name].spec.name == name == catalog[name].name for name in files)
    assert not files & set(presets())
    assert len({preset.spec.fingerprint for preset in catalog.values()}) == len(catalog)


def test_studies_share_data_folds_and_seeds_so_that_they_can_be_compared() -> None:
    shared = {(p.spec.dataset, p.spec.model, p.spec.folds, p.spec.seed) for p in findings().values()}
    assert shared == {("rotated-digits", "paper-cnn", 10, 0)}
    landscapes = [findings()[name].spec for name in LANDSCAPES]
    assert {spec.loss for spec in landscapes} == set(LOSSES)
    assert len({dataclasses.replace(spec, loss="sse").fingerprint for spec in landscapes}) == 1


def test_alpha_holds_the_effective_rate_of_the_derived_point() -> None:
    points = named("alpha")
    assert [momentum for _, momentum in points.values()] == [0, 0.5, 0.8, 0.9, 0.95, 0.99]
    for rate, momentum in points.values():
        assert rate / (1 - momentum) == pytest.approx(golden.effective_learning_rate(ETA, ALPHA), rel=1e-12)


def test_square_rule_is_the_papers_at_other_momenta() -> None:
    points = named("square-rule")
    assert len(points) == 11
    for rate, momentum in points.values():
        assert rate == pytest.approx((1 - momentum) ** 2, rel=1e-12)
    assert pytest.approx((1 - ALPHA) ** 2, rel=1e-12) == ETA


def test_random_pairs_are_those_of_the_stated_generator() -> None:
    drawn = np.random.default_rng(2021).uniform(size=(40, 2))
    wanted = [(10 ** (4 * u - 4), 1 - 10 ** (2 * v - 2)) for u, v in drawn]
    assert list(named("random-pairs").values()) == [pytest.approx(pair, rel=1e-12) for pair in wanted]


def test_steps_use_the_curvature_of_eq_26_near_the_target() -> None:
    c = math.pi**2 * (8 - math.log(2)) / 256

    def loss(distance: float) -> float:  # eq. 23, 24 and 26 for y = t - distance
        d = (1 - distance) * math.pi / 4
        energy = -math.sin(d) * math.log(math.cos(d)) - math.cos(d) * math.log(math.sin(d))
        return math.sqrt(2) / (1 + math.exp(-(energy - math.log(2) / math.sqrt(2)) / 2))

    assert (loss(1e-3) - 1 / math.sqrt(2)) / 1e-6 == pytest.approx(c, rel=1e-4)
    assert named("steps-sse") == {"c eta": pytest.approx((c * ETA, ALPHA)), "eta / c": pytest.approx((ETA / c, ALPHA))}
    assert named("steps-dual-process") == {"eta / c": pytest.approx((ETA / c, ALPHA))}


@pytest.mark.parametrize(("name", "factor"), [("quarter", 0.25), ("half", 0.5), ("double", 2), ("quadruple", 4)])
def test_scaled_losses_are_trained_as_other_rates_and_decays(name: str, factor: float) -> None:
    """tests/workers/test_loss_scale.py shows that this is the same training."""
    scaled, base = findings()[f"scale-{name}"].spec, findings()["base"].spec
    assert prescribed(scaled).learning_rate == factor * ETA
    assert prescribed(scaled).momentum == ALPHA
    assert scaled.weight_decay == base.weight_decay / factor
    assert named(f"scale-{name}") == {"matlab times scale": (factor * 0.01, 0.9)}
    same = dataclasses.replace(
        scaled, prescribed=base.prescribed, weight_decay=base.weight_decay, references=base.references
    )
    assert same.fingerprint == base.fingerprint


def test_conditions_change_one_thing_each() -> None:
    catalog = findings()
    base = catalog["base"].spec
    for name in set(CONDITIONS) - {"base"}:
        kind, _, value = name.partition("-")
        if kind == "batch":
            assert dataclasses.replace(catalog[name].spec, batch_size=128).fingerprint == base.fingerprint
            assert catalog[name].spec.batch_size == int(value)
        elif kind == "epochs":
            same = dataclasses.replace(catalog[name].spec, epochs=base.epochs, grid=base.grid)
            assert (same.fingerprint, catalog[name].spec.epochs) == (base.fingerprint, int(value))


# --- folders and page


def made_up(cell: int, fold: int, run: int) -> TrainingResult:
    accuracy = 0.9 + cell % 8 / 100 + fold % 2 / 1000
    return result(cell, fold, run, accuracy=accuracy, brier=0.2, train_loss=0.25)


def folder_of(preset: Preset, folder: Path, trained: int | None = None) -> Path:
    """What `workers.run` writes, with made-up accuracies: 0.9 and a hundredth for each cell."""
    folder.mkdir(parents=True)
    spec = preset.spec
    keys = [
        (cell.index, fold, run) for run in range(spec.runs) for fold in range(spec.folds_used) for cell in cells(spec)
    ]
    manifest = {
        "fingerprint": spec.fingerprint,
        "dataset_sha256": "5" * 64,
        "images": 10_000,
        "numeric_class": "made up",
    }
    manifest |= {"device": "made up", "threads": 2, "python": "3.11.7", "started": 1.8e9, "seconds": 21.0}
    (folder / "spec.json").write_text(spec.canonical())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"trained": len(keys) if trained is None else trained}))
    lines = [json.dumps(made_up(*key).to_json()) for key in keys]
    (folder / "replicates.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_page_has_the_figures_of_the_folders(tmp_path: Path) -> None:
    catalog = findings()
    folder_of(catalog["alpha"], tmp_path / "alpha")
    page = filled(empty_page(), read_all(catalog, tmp_path), catalog)
    # Cell 0 is the derived point, the others follow in the order of the file: alpha 0 is cell 1.
    assert "| 0 | 0.126 | 0.126 | 91.05 ± 0.05 | +1.00 [" in page
    assert "| 0.874 | 0.0159 | 0.126 | 90.05 ± 0.05 | (the derived point) |" in page
    assert "Regret of the derived point against all 6 others: 6.00 points as it stands" in page
    assert "n = 10 folds x 3 runs in each cell, 10 epochs; 210 trainings in 21 s; made up, 2 threads" in page
    assert "`python -m service.findings train landscape-dual-process landscape-sse" in page
    assert "| `alpha` | Momentum at one effective learning rate, that of the derived point | 210 | 2,100 | 21 |" in page
    assert "| 54 | 5,400 |" not in page
    assert "| 540 | 5,400 | not run; about 54 |" in page
    assert filled(page, read_all(catalog, tmp_path), catalog) == page


def test_every_table_can_be_made(tmp_path: Path) -> None:
    catalog = findings()
    for name, preset in catalog.items():
        small = dataclasses.replace(preset.spec, runs=1)
        catalog[name] = dataclasses.replace(preset, spec=small)
        folder_of(catalog[name], tmp_path / name)
    library = read_all(catalog, tmp_path)
    assert set(library) == set(catalog)
    for name, table in TABLES.items():
        if name != "table-1":  # its specification says three runs
            assert table.text(library).startswith("| "), name
    (drawn,) = draw_landscapes(library, LANDSCAPES[:1], tmp_path / "pictures")
    assert drawn.read_bytes().startswith(b"<?xml")


def test_table_one_stands_beside_the_papers_figures(tmp_path: Path) -> None:
    catalog = findings()
    for study in table_1().studies:
        folder_of(catalog[table_1_name(study)], tmp_path / table_1_name(study))
    text = TABLES["table-1"].text(read_all(catalog, tmp_path))
    assert "98.90 ± 1.00" in text
    assert "SSE with momentum minus SSE without momentum" in text


def test_folder_that_is_not_done_or_anothers_is_not_read(tmp_path: Path) -> None:
    preset = findings()["alpha"]
    assert read(preset, tmp_path / "nothing") is None
    assert read(preset, folder_of(preset, tmp_path / "part", trained=209)) is None
    with pytest.raises(ValueError, match="holds another study than alpha"):
        read(preset, folder_of(findings()["square-rule"], tmp_path / "other"))


def test_page_with_other_markers_is_refused(tmp_path: Path) -> None:
    catalog = findings()
    folder_of(catalog["alpha"], tmp_path / "alpha")
    with pytest.raises(ValueError, match="must have one marker for each of"):
        filled(empty_page().replace("losses", "gains"), read_all(catalog, tmp_path), catalog)


def test_command_fills_a_page_and_knows_its_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(findings()["alpha"], tmp_path / "findings" / "alpha")
    page = tmp_path / "page.md"
    page.write_text(empty_page())
    assert command.main(["--data", str(tmp_path), "page", str(page)]) == 0
    assert "(the derived point)" in page.read_text()
    assert list((tmp_path / "findings").glob("*.svg")) == []  # no landscape is trained
    with pytest.raises(SystemExit):
        command.main(["train", "nonsense"])
    assert "no such study: nonsense; there are landscape-dual-process" in capsys.readouterr().err


def test_training_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    point: dict[str, Any] = {"factor": 2, "steps": 0}
    document = {"dataset": "rotated-digits", "loss": "sse", "grid": {"learning_rate": point, "momentum": point}}
    document |= {"references": [], "folds": 5, "folds_used": 1, "runs": 1, "epochs": 1}
    preset = Preset("small", "A small one", StudySpec.from_json(document))
    for _ in range(2):
        command.train_study(preset.name, preset.spec, tmp_path)
    assert capsys.readouterr().out.count("1 of 1 trainings") == 1
    trained = read(preset, tmp_path / "findings" / "small")
    assert trained is not None
    assert network_epochs(preset.spec) == len(trained.scores) == 1


def test_page_in_the_docs_has_every_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in [*TABLES, "costs"]:
        assert f"<!-- table: {name} -->" in text
