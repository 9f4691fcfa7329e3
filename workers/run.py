"""`python -m workers.run SPEC.json OUT/`: a whole study on one device, with nothing but numpy and torch.

Writes OUT/spec.json, OUT/replicates.jsonl (one result a line) and OUT/manifest.json. A second run with the same OUT
goes on where the first stopped, with the same data and the same numeric class or not at all. `goldenbench import OUT/`
takes the results into a store.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studies.datasets.errors import DatasetError, DatasetUnavailable
from studies.datasets.load import PreparedDataset, load
from studies.grid import cells
from studies.results import TrainingResult
from studies.spec import StudySpec
from studies.training import TrainingConfig, training_config
from workers.devices import available_threads, default_device, device_name
from workers.train import numeric_class_of, train_pack

SPEC, REPLICATES, MANIFEST = "spec.json", "replicates.jsonl", "manifest.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when every replicate is on disk, 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m workers.run", description=__doc__.partition("\n")[0])
    parser.add_argument("spec", type=Path, help="study specification (JSON)")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--dataset", type=Path, help="prepared .npz (default: prepare it; needs scikit-learn)")
    parser.add_argument("--data", type=Path, default=Path("var"), help="data folder for preparing (default: var)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--pack", type=int, default=121, help="trainings in one pack (default: 121)")
    options = parser.parse_args(arguments)
    try:
        spec = StudySpec.from_json_text(options.spec.read_text(encoding="utf-8"))
        cells(spec)  # names an axis that leaves its range before any data are prepared
        dataset = load(options.dataset) if options.dataset else _prepared(spec, options.data)
        if options.device == "cuda" != default_device():
            raise ValueError("device must be cpu: torch sees no GPU here")
        run(spec, dataset, options.out, options.device or default_device(), options.pack)
    except (OSError, ValueError, RecursionError, DatasetError) as error:  # SpecError is a ValueError
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(spec: StudySpec, dataset: PreparedDataset, out: Path, device: str, pack_size: int) -> None:
    """Train every replicate of a study that is not in `out` yet.

    Args:
        spec: the study.
        dataset: prepared for the study's number of folds.
        out: folder of the results; made if it is missing.
        device: `cpu` or `cuda`.
        pack_size: trainings in one pack, at least 1.

    Raises:
        ValueError: the data set is another one, no engine can train the study here, or `out` holds another study,
            another data set's results or those of another numeric class.
    """
    check_dataset(spec, dataset)
    if spec.racing:
        raise ValueError("racing must be false here: only the service drops cells between rounds")
    if pack_size < 1:
        raise ValueError(f"pack must be at least 1, not {pack_size}")
    numeric_class = numeric_class_of(spec.model, spec.engine, spec.precision, spec.bn_statistics, device)
    if numeric_class is None:
        raise ValueError(f"engine {spec.engine} cannot train {spec.model} in {spec.precision} on {device}")
    out.mkdir(parents=True, exist_ok=True)
    _claim(spec, out)
    manifest = _manifest(spec, dataset, numeric_class, device, out / MANIFEST)
    before, began = float(manifest["seconds"]), time.monotonic()
    done = {result.key for result in read_results(out)}
    pending = [config for config in configs(spec) if config.key not in done]
    with (out / REPLICATES).open("a", encoding="utf-8") as lines:
        for at in range(0, len(pending), pack_size):
            pack = pending[at : at + pack_size]
            for result in train_pack(pack, dataset, device, engine=spec.engine):
                lines.write(json.dumps(result.to_json(), allow_nan=False) + "\n")
            lines.flush()
            manifest["seconds"] = before + time.monotonic() - began
            manifest["trained"] = len(done) + at + len(pack)
            _replace(out / MANIFEST, json.dumps(manifest, indent=2))
            print(f"{len(done) + at + len(pack)} of {len(done) + len(pending)} trainings", flush=True)


def configs(spec: StudySpec) -> Iterator[TrainingConfig]:
    """Every training of a study; the members of one (fold, run) stand together."""
    grid = cells(spec)
    for run_index in range(spec.runs):
        for fold in range(spec.folds_used):
            for cell in grid:
                yield training_config(spec, cell, fold, run_index)


def check_dataset(spec: StudySpec, dataset: PreparedDataset) -> None:
    """Refuse a prepared data set that is not the study's.

    Raises:
        ValueError: another name, or another number of folds.
    """
    if (dataset.name, dataset.n_folds) != (spec.dataset, spec.folds):
        raise ValueError(
            f"the study wants {spec.dataset} in {spec.folds} folds, the file has {dataset.name} in {dataset.n_folds}"
        )


def read_results(out: Path) -> Iterator[TrainingResult]:
    """The results in a folder; a last line that a crash cut short is removed from the file."""
    path = out / REPLICATES
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    for line in whole.splitlines():
        yield TrainingResult.from_json(json.loads(line))


def _claim(spec: StudySpec, out: Path) -> None:
    path = out / SPEC
    if path.exists():
        if StudySpec.from_json_text(path.read_text(encoding="utf-8")).fingerprint != spec.fingerprint:
            raise ValueError(f"{path} is another study; use an empty folder")
        return
    if (out / REPLICATES).exists():
        raise ValueError(f"{out} holds results of an unknown study; use an empty folder")
    _replace(path, spec.canonical())


def _manifest(spec: StudySpec, dataset: PreparedDataset, numeric_class: str, device: str, path: Path) -> dict[str, Any]:
    """The manifest so far; written before the first training, so that a second run knows what the first used."""
    fixed = {
        "fingerprint": spec.fingerprint,
        "dataset_sha256": dataset.sha256,
        "images": len(dataset.images),
        "numeric_class": numeric_class,
    }
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name, wanted in fixed.items():
            if found.get(name) != wanted:
                raise ValueError(f"{path} has {name} {found.get(name)}, not {wanted}; use an empty folder")
        return found
    manifest = fixed | {
        "device": device_name(device),
        "threads": available_threads(),
        "python": platform.python_version(),
        "started": time.time(),
        "seconds": 0.0,
        "trained": 0,
    }
    _replace(path, json.dumps(manifest, indent=2))
    return manifest


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _prepared(spec: StudySpec, data: Path) -> PreparedDataset:
    try:
        from studies.datasets.prepare import prepare

        file = prepare(spec.dataset, spec.folds, data)
    except ImportError as error:
        raise DatasetUnavailable(f"{error}; prepare the data elsewhere and pass --dataset FILE") from error
    return load(file.path, file.sha256)


if __name__ == "__main__":
    sys.exit(main())
