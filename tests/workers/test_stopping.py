"""What ends a pack from outside, Ctrl-C for one, does not wait for its trainings to end."""

import signal
import threading
import time
from dataclasses import replace

import pytest
import torch
from worker_data import CONFIG, toy

from workers.engine import Engine, Hooks
from workers.native import library
from workers.packed_cpu import PackedCpu
from workers.reference import Reference

built = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")


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
