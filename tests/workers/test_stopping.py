"""Ctrl-C does not wait for trainings to end, and the next run goes on where it struck."""

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_folder import STUDY, TOTAL, Folder, dataset
from worker_data import CONFIG, bits, toy

from studies.spec import StudySpec
from workers import run
from workers.engine import Engine, Hooks
from workers.folder import MANIFEST
from workers.native import library
from workers.packed_cpu import PackedCpu
from workers.reference import Reference
from workers.train import train_pack

built = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell's background jobs ignore Ctrl-C, and so would their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("engine", [Reference(), pytest.param(PackedCpu(), marks=built)], ids=lambda each: each.name)
def test_ctrl_c_ends_a_pack_within_an_epoch(engine: Engine) -> None:
    ended: list[int] = []
    main = threading.main_thread().ident
    assert main is not None

    def epoch_done(count: int) -> None:
        ended.append(count)
        if len(ended) == 4:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.02)  # as slow as a real epoch is beside the signal

    configs = [replace(CONFIG, cell=cell, epochs=50) for cell in range(4)]
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        engine.train(configs, toy(), "cpu", 2, Hooks(epoch_done, lambda: False))
    assert len(ended) < 20
    assert torch.get_num_threads() == threads


def test_a_run_that_is_stopped_says_so_in_a_line_and_goes_on_when_asked_again(folder: Folder) -> None:
    folder.write(epochs=20)
    with folder.start("--pack", "1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    stored = len(folder.results())
    assert 1 <= stored < TOTAL
    assert err == f"stopped with {stored} results in {folder.out}; the same command goes on from there\n"
    assert process.returncode == 130
    assert folder.run() == 0
    spec = StudySpec.from_json(STUDY | {"epochs": 20})
    assert bits(folder.results()) == bits(train_pack(list(run.configs(spec)), dataset(), engine="reference"))


def test_a_long_pack_is_stopped_at_once(folder: Folder) -> None:
    folder.write(epochs=10_000)
    with folder.start() as process:
        while not (folder.out / MANIFEST).exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert err == f"stopped with 0 results in {folder.out}; the same command goes on from there\n"
    assert process.returncode == 130
