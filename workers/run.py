"""`python -m workers.run SPEC.json OUT/`: a whole study on one device, with nothing but numpy and torch.

Writes OUT/spec.json, OUT/replicates.jsonl (one result a line) and OUT/manifest.json, which `workers.folder` keeps. A
second run with the same OUT goes on where the first stopped, once it has, with the same data and the same numeric class
or not at all. `goldenbench import OUT/` takes the results into a store.
"""

import argparse
import json
import platform
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from studies.datasets.errors import DatasetError, DatasetUnavailable
from studies.datasets.load import PreparedDataset, load
from studies.grid import cells
from studies.spec import StudySpec
from studies.training import TrainingConfig, training_config
from workers.capacity import members_for
from workers.devices import available_threads, default_device, device_name
from workers.engine import DoesNotFit
from workers.folder import claim, whole_lines, write_manifest, writing
from workers.pace import MINUTE, Pace
from workers.train import numeric_class_of, offer_of, train_pack


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when every replicate is on disk, 2 for input that cannot be used, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m workers.run", description=__doc__.partition("\n")[0])
    parser.add_argument("spec", type=Path, help="study specification (JSON)")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--dataset", type=Path, help="prepared .npz (default: prepare it; needs scikit-learn)")
    parser.add_argument("--data", type=Path, default=Path("var"), help="data folder for preparing (default: var)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--pack", type=int, help="trainings between two writes to disk (default: about a minute's)")
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
    except KeyboardInterrupt:
        stored = whole_lines(options.out).count(b"\n")
        print(f"stopped with {stored} results in {options.out}; the same command goes on from there", file=sys.stderr)
        return 128 + signal.SIGINT
    except (MemoryError, DoesNotFit) as error:
        told = str(error) or type(error).__name__
        print(f"error: out of memory, and a smaller --pack needs less: {told}", file=sys.stderr)
        return 2
    return 0


def run(spec: StudySpec, dataset: PreparedDataset, out: Path, device: str, pack_size: int | None = None) -> None:
    """Train every replicate of a study that is not in `out` yet.

    Args:
        spec: the study.
        dataset: prepared for the study's number of folds.
        out: folder of the results; made if it is missing.
        device: `cpu` or `cuda`.
        pack_size: trainings in one pack, at least 1; by default as many as take about a minute, for what ends a run in
            the middle of a pack loses it.

    Raises:
        ValueError: the data set is another one, no engine can train the study here, another run writes to `out`, or it
            holds another study, another data set's results or those of another numeric class.
        DoesNotFit, MemoryError: a pack is too large for the device.
    """
    numeric_class = _check(spec, dataset, device, pack_size)
    pace = Pace.fixed(pack_size) if pack_size else _minutes(spec, dataset, device)
    everything = {config.key: config for config in configs(spec)}
    fixed = {
        "fingerprint": spec.fingerprint,
        "dataset_sha256": dataset.sha256,
        "images": len(dataset.images),
        "numeric_class": numeric_class,
    }
    with writing(out) as lines:
        manifest, done = claim(out, spec, everything, fixed, _machine(device))
        before, began = float(manifest["seconds"]), time.monotonic()
        pending = [config for key, config in everything.items() if key not in done]
        at = 0
        while at < len(pending):
            pack, started = pending[at : at + pace.members], time.monotonic()
            at += len(pack)
            for result in train_pack(pack, dataset, device, engine=spec.engine):
                lines.write(json.dumps(result.to_json(), allow_nan=False) + "\n")
            lines.flush()
            pace.took(len(pack), time.monotonic() - started)
            manifest["seconds"] = before + time.monotonic() - began
            manifest["trained"] = len(done) + at
            write_manifest(out, manifest)
            print(f"{manifest['trained']} of {len(everything)} trainings", flush=True)


def _check(spec: StudySpec, dataset: PreparedDataset, device: str, pack_size: int | None) -> str:
    """Refuse what no training can come of; the numeric class of the results.

    Raises:
        ValueError: see `run`.
    """
    check_dataset(spec, dataset)
    if spec.racing:
        raise ValueError("racing must be false here: only the service drops cells between rounds")
    if pack_size is not None and pack_size < 1:
        raise ValueError(f"pack must be at least 1, not {pack_size}")
    how = spec.model, spec.engine, spec.precision, spec.bn_statistics, device, dataset.classes
    numeric_class = numeric_class_of(*how)
    if numeric_class is None:
        raise ValueError(f"engine {spec.engine} cannot train {spec.model} in {spec.precision} on {device}")
    return numeric_class


def _minutes(spec: StudySpec, dataset: PreparedDataset, device: str) -> Pace:
    """Packs of about a minute, of which the first, by the rule of thumb, is a quarter."""
    offered = offer_of(spec.model, spec.engine, spec.precision, spec.bn_statistics, device, dataset.classes)
    assert offered is not None, "_check has found an engine"
    images = spec.epochs * int((dataset.folds != 0).sum())
    return Pace(members_for(MINUTE / 4, offered, images), offered.at_once, offered.networks)


def _machine(device: str) -> dict[str, str | int | float]:
    """What a manifest says of where and when the first training was started."""
    return {
        "device": device_name(device),
        "threads": available_threads(),
        "python": platform.python_version(),
        "started": time.time(),
    }


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
        ValueError: another name, another number of folds, or fewer training images than one batch.
    """
    if (dataset.name, dataset.n_folds) != (spec.dataset, spec.folds):
        raise ValueError(
            f"the study wants {spec.dataset} in {spec.folds} folds, the file has {dataset.name} in {dataset.n_folds}"
        )
    images = len(dataset.images) - int(np.bincount(dataset.folds)[: spec.folds_used].max())
    if images < spec.batch_size:
        raise ValueError(f"batch_size must be at most the {images} training images of a fold, not {spec.batch_size}")


def _prepared(spec: StudySpec, data: Path) -> PreparedDataset:
    try:
        from studies.datasets.prepare import prepare

        file = prepare(spec.dataset, spec.folds, data)
    except ImportError as error:
        raise DatasetUnavailable(f"{error}; prepare the data elsewhere and pass --dataset FILE") from error
    return load(file.path, file.sha256)


if __name__ == "__main__":
    sys.exit(main())
