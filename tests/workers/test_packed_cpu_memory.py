"""What a pack on the processor takes of its memory, whatever its batches and however many networks are in it."""

import subprocess
import sys
import weakref
from dataclasses import replace

import pytest
from worker_data import CONFIG, toy

from studies.datasets.load import PreparedDataset
from studies.training import TrainingConfig
from workers import packed_cpu
from workers.engine import SILENT
from workers.native import library
from workers.native.library import Variant
from workers.packed_cpu import PackedCpu, Replicate

pytestmark = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("threads", [1, 2])
def test_a_thread_holds_no_more_than_one_replicate(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    made: list[weakref.ref[Replicate]] = []
    alive = []

    def counted(config: TrainingConfig, dataset: PreparedDataset, variant: Variant) -> Replicate:
        alive.append(1 + sum(reference() is not None for reference in made))
        found = replicate(config, dataset, variant)
        made.append(weakref.ref(found))
        return found

    replicate = packed_cpu.replicate
    monkeypatch.setattr(packed_cpu, "replicate", counted)
    # In turn, as a pack has them whose cells are not sorted by (fold, run).
    configs = [replace(CONFIG, cell=i, fold=i % 3, run=i // 3 % 2, epochs=1) for i in range(18)]
    results = PackedCpu().train(configs, toy(images=96, side=6), "cpu", threads, SILENT)
    assert [result.key for result in results] == [config.key for config in configs]
    assert len(made) == 6  # each of them once
    assert max(alive) <= threads
    assert not any(reference() is not None for reference in made)


PACK = """
import resource
from dataclasses import replace
import numpy as np
from studies.datasets.load import from_arrays
from workers import train
from workers.bench import CONFIG

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

index = np.arange(1_536)
pixels = np.random.default_rng(0).integers(0, 256, (1_536, 28, 28), dtype=np.uint8)
dataset = from_arrays("noise", pixels, index % 10, index // 10 % 3)
configs = [replace(CONFIG, cell=i, run=i, epochs=1) for i in range(64)]
assert train.choose_engine(configs[0], "cpu").name == "packed-cpu"
idle = peak()
train.train_pack(configs, dataset, threads=2)
print(peak() - idle)
"""


def test_64_networks_take_less_than_a_gibibyte() -> None:
    done = subprocess.run([sys.executable, "-c", PACK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1024 * MEBIBYTE, f"{int(done.stdout) / MEBIBYTE:.0f} MiB"
