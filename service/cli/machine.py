"""What `goldenbench doctor` looks at on this machine."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service.certificates import SOON, valid_until
from service.cli.finding import Finding
from service.config import Settings
from service.errors import SetupError
from studies.datasets.registry import DATASETS
from studies.models.registry import MODELS, code_of

LEAST_FREE_BYTES = 1_000_000_000
"""A study of 121 cells x 100 replicates takes some hundred megabytes, data sets as much again."""


def entry_points() -> Iterator[Finding]:
    """Models and data sets of other packages."""
    for names in (MODELS, DATASETS):
        for name in names:
            origin = names.origin(name)
            if origin is not None:
                yield Finding("entry point", "good", f"{name} of {origin} ({names.group})")
        for problem in names.problems.values():
            yield Finding("entry point", "bad", problem)


def devices(wanted: str) -> Iterator[Finding]:
    """The devices, and the engine that `auto` would take for each model."""
    from service.dispatch.devices import worker_environments
    from workers.devices import available_threads, device_name
    from workers.gpus import why_unusable
    from workers.native.library import best_isa
    from workers.tasks import DEVICE_VARIABLE
    from workers.train import numeric_class_of

    workers, problem = 0, None
    try:
        environments = worker_environments(wanted)
        device, workers = environments[0][DEVICE_VARIABLE], len(environments)
        problem = why_unusable() if device == "cuda" else None
    except SetupError as error:
        problem = str(error)
    if problem:
        device = "cpu"
        yield Finding("device", "bad", problem)
    told = f"{workers} x {device_name(device)}" if device == "cuda" else device_name(device)
    yield Finding("device", "good", f"{told}; {available_threads()} processor threads")
    isa = best_isa()
    if isa is None:
        told = "not built: no C compiler was there; the reference engine trains instead, several times slower"
        yield Finding("packed CPU engine", "note", told)
    else:
        yield Finding("packed CPU engine", "good", f"built, runs {isa} here")
    for model in MODELS:
        found = numeric_class_of(model, "auto", "fp32", "population", device)
        whose = f" of {code_of(model)}" if code_of(model) else ""
        state: Literal["good", "bad"] = "good" if found else "bad"
        yield Finding(f"model {model}", state, found or f"no engine here can train {model}{whose}")


def disk(data: Path) -> Finding:
    """Space where the data folder is, or would be."""
    place = next(folder for folder in (data, *data.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    told = f"{data}, {free / 1e9:.1f} GB free"
    return Finding("data folder", "good" if free >= LEAST_FREE_BYTES else "bad", told)


def certificates(settings: Settings) -> Iterator[Finding]:
    """When they expire."""
    for use, path in settings.certificates.items():
        what = f"certificate ({use})"
        try:
            end = valid_until(path)
        except SetupError as error:
            yield Finding(what, "bad", str(error))
            continue
        if end <= datetime.now(UTC):
            yield Finding(what, "bad", f"{path} has expired on {end:%Y-%m-%d}: new connections are refused")
        elif end <= datetime.now(UTC) + SOON:
            yield Finding(what, "note", f"{path} is valid until only {end:%Y-%m-%d}; docs/deployment.md renews it")
        else:
            yield Finding(what, "good", f"{path} is valid until {end:%Y-%m-%d}")
