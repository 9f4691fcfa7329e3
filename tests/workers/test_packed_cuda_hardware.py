"""The packed CUDA kernels as a GPU gets them: compiled for one without it, and trained on one where there is one."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_packed_cpu_step import PARITY, digits, error, gradients, start_model
from test_packed_cuda import CONFIG, PACK, WILD, bits, needs_triton

from studies.losses import LOSSES
from studies.results import Outcome
from workers.engine import SILENT
from workers.packed_cuda import PackedCuda
from workers.reference import Reference
from workers.triton.data import DeviceImages, Replicates
from workers.triton.shapes import TILES, Shape

pytestmark = needs_triton
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: packed-cuda has not run on one")

PAPER = replace(CONFIG, batch_size=128, weight_decay=1e-2)
TYPES = {
    "pixels": "*u8",
    "correct": "*u8",
    "step": "i32",
    "steps": "i32",
    **dict.fromkeys(("labels", "counts", "replicate", "kinds", "alive"), "*i32"),
    **dict.fromkeys(("moments", "covariance_w", "deviation", "total", "metrics"), "*fp64"),
}
"""Of the kernels' arguments; the others are pointers to float32."""
SHARED_BYTES = 227 * 1024
"""Of one program on sm_90."""


def compile_all() -> dict[str, int]:
    """Compile every kernel for sm_90 at the paper's sizes; bytes of shared memory of each."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from workers.triton import convolution, normalisation, scoring

    shape, splits = Shape(28, 28, 10, 128), Shape(28, 28, 10, 128).splits(TILES)
    both = {"classes": 10, "lanes": shape.class_lanes}
    image = {"batch": 128, "height": 28, "width": 28, "images": TILES.images, "span": TILES.positions}
    layers = both | image | {"precision": TILES.dot}
    losses = both | {"splits": splits, "images": TILES.loss_images}
    kernels: list[tuple[Any, dict[str, Any], int]] = [
        (normalisation.fold, {}, TILES.warps),
        (convolution.forward, layers, TILES.warps),
        (scoring.train_loss, losses | {"batch": 128}, TILES.warps),
        (convolution.backward, layers, TILES.backward_warps),
        (normalisation.unfold_and_move, {"splits": splits}, TILES.warps),
        (scoring.score, losses | {"batch": 1024}, TILES.warps),
    ]
    shared = {}
    for kernel, constants, warps in kernels:
        types = TYPES | (
            {} if kernel in (convolution.forward, scoring.train_loss, scoring.score) else {"partial": "*fp64"}
        )
        signature = {name: "constexpr" if name in constants else types.get(name, "*fp32") for name in kernel.arg_names}
        source = ASTSource(kernel, signature, {(kernel.arg_names.index(name),): v for name, v in constants.items()})
        options = {"num_warps": warps, "enable_fp_fusion": True}
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert not re.search(r"\b(atom|red|mma|wgmma)\.", made.asm["ptx"]), kernel.__name__
        shared[kernel.__name__] = made.metadata.shared
    return shared


def test_every_kernel_compiles_for_hopper_without_atomics_or_tensor_cores() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TRITON_INTERPRET", None)
    # In a process of its own: this one may not import Triton, whose compiled kernels the others interpret.
    command = "import test_packed_cuda_hardware as t; s = t.compile_all(); assert max(s.values()) <= t.SHARED_BYTES, s"
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_gpu
@pytest.mark.parametrize("logit_scale", [1, 10])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_on_a_gpu_equals_float64_autograd(loss: str, logit_scale: int) -> None:
    from workers.triton.networks import Networks

    config, dataset = replace(PAPER, loss=loss), digits(2 * 128, 28, 28, 10)
    model = start_model(config, dataset, logit_scale)
    networks = Networks([config], [0], Replicates.of([config], DeviceImages.of(dataset, "cuda"), TILES), TILES)
    networks.assign([0], model)
    networks.train_epoch()
    found, truth = networks.flat(networks.velocity, 0), gradients(model.double(), config, dataset)
    errors = {name: error(found[name], truth[name]) for name in truth}
    assert max(errors.values()) <= PARITY, errors


@needs_gpu
def test_trainings_on_a_gpu_follow_the_reference_and_repeat_their_bits() -> None:
    # Three epochs: compiled, captured, replayed.
    dataset = digits(2 * 300, 28, 28, 10)
    configs = [replace(config, fold=i % 2, batch_size=128, epochs=3) for i, config in enumerate(PACK)]
    wild = replace(WILD, batch_size=128, epochs=3)
    together = PackedCuda().train([*configs, wild, *configs[::-1]], dataset, "cuda", 1, SILENT)
    truths = Reference().train(configs, dataset, "cuda", 1, SILENT)
    for found, truth in zip(together[:3], truths, strict=True):
        for name in ("loss", "train_loss"):
            np.testing.assert_allclose(getattr(found.curve, name), getattr(truth.curve, name), rtol=1e-5)
        np.testing.assert_allclose(found.curve.accuracy, truth.curve.accuracy, atol=1.01 / 300)
    assert together[3].outcome is Outcome.DIVERGED
    alone = [PackedCuda().train([config], dataset, "cuda", 1, SILENT)[0] for config in configs]
    assert bits(together[:3]) == bits(alone)
    assert bits(together[4:]) == bits(alone[::-1])
