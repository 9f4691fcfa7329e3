"""The packed CUDA kernels as a GPU gets them: compiled for one without it, and trained on one where there is one."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from test_packed_cpu_step import PARITY, digits, gradients, start_model
from test_packed_cuda import CONFIG, PACK, WILD, bits, needs_triton
from worker_data import assert_ends_as_its_curve

from studies.losses import LOSSES
from studies.results import Outcome
from workers.bench_parity import update_errors
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
    "terms": "i32",
    **dict.fromkeys(("labels", "counts", "replicate", "kinds", "alive"), "*i32"),
    **dict.fromkeys(("moments", "covariance_w", "deviation", "total", "metrics"), "*fp64"),
}
"""Of the kernels' arguments; the others are pointers to float32."""
SHARED_BYTES, REGISTERS = 227 * 1024, 65_536
"""Of a multiprocessor of sm_90."""
TENSOR_CORES = re.compile(r"\bw?gmma\.|\bmma\.")
TF32 = re.compile(r"\bwgmma\.mma_async\S*\.f32\.tf32\.tf32\b")


@dataclass(frozen=True)
class Compiled:
    """What a kernel takes on sm_90: figures of the compiler, not of hardware."""

    registers: int
    """Of a thread."""
    spilled_bytes: int
    """Of a thread, stored and loaded again. Sines have a stack of their own, for large arguments."""
    shared_bytes: int
    """Of a program."""
    threads: int
    """Of a program."""

    @property
    def programs(self) -> int:
        """How many a multiprocessor has room for; registers are given out by eights."""
        return min(
            REGISTERS // (-(-self.registers // 8) * 8 * self.threads), SHARED_BYTES // (self.shared_bytes + 1024)
        )


def compile_all() -> dict[str, Compiled]:
    """Compile every kernel for sm_90 at the paper's sizes, those with products in each precision."""
    from workers.triton import convolution, normalisation, scoring

    shape, of_any = Shape(28, 28, 10, 128), TILES["fp32"]
    both = {"classes": 10, "lanes": shape.class_lanes}
    image = both | {"batch": 128, "height": 28, "width": 28}
    losses = both | {"splits": shape.splits(of_any), "images": of_any.loss_images}
    kernels: list[tuple[str, Any, dict[str, Any], int]] = [
        ("fold", normalisation.fold, {}, of_any.warps),
        ("train_loss", scoring.train_loss, losses | {"batch": 128}, of_any.warps),
        ("unfold_and_move", normalisation.unfold_and_move, {"splits": shape.splits(of_any)}, of_any.warps),
        ("score", scoring.score, losses | {"batch": 1024}, of_any.warps),
    ]
    for precision, tiles in TILES.items():
        layers = image | {"span": tiles.pairs, "precision": tiles.dot}
        wide, narrow = layers | {"images": tiles.images}, layers | {"images": tiles.backward_images}
        kernels.append((f"forward {precision}", convolution.forward, wide, tiles.forward_warps))
        kernels.append((f"backward {precision}", convolution.backward, narrow, tiles.backward_warps))
    return {name: compile_one(name, *how) for name, *how in kernels}


def compile_one(name: str, kernel: Any, constants: dict[str, Any], warps: int) -> Compiled:
    """Compile as a launch would, whose tensors are aligned to 16 bytes, and look at what came out."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = TYPES | ({"partial": "*fp64"} if name.startswith(("backward", "unfold")) else {})
    signature = {name: "constexpr" if name in constants else types.get(name, "*fp32") for name in kernel.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind[0] == "*"}
    source = ASTSource(
        kernel, signature, {(kernel.arg_names.index(name),): value for name, value in constants.items()}, aligned
    )
    options = {"num_warps": warps, "num_stages": TILES["fp32"].stages, "enable_fp_fusion": True}
    triton.knobs.nvidia.dump_ptxas_log = triton.knobs.compilation.always_compile = True
    with contextlib.redirect_stdout(io.StringIO()) as log:
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    ptx = made.asm["ptx"]
    assert not re.search(r"\b(atom|red)\.", ptx), name
    if name.endswith("tf32x3"):
        assert TF32.search(ptx), name
    else:
        assert not TENSOR_CORES.search(ptx), name
    (registers,) = re.findall(r"Used (\d+) registers", log.getvalue())
    spills = re.findall(r"(\d+) bytes spill", log.getvalue())
    return Compiled(int(registers), sum(map(int, spills)), made.metadata.shared, 32 * warps)


def test_every_kernel_compiles_for_hopper_without_spills_and_with_tensor_cores_in_tf32x3_only() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TRITON_INTERPRET", None)
    # In a process of its own: this one may not import Triton, whose compiled kernels the others interpret.
    command = "import test_packed_cuda_hardware as t; t.print_compiled()"
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {name: Compiled(**figures) for name, figures in json.loads(done.stdout.splitlines()[-1]).items()}
    assert len(found) == 4 + 2 * len(TILES)
    assert [name for name, made in found.items() if made.spilled_bytes] == [], found
    # As workers/packed_cuda.py says: one program waits for memory or its products while another one works.
    room = {name: made.programs for name, made in found.items()}
    assert min(room["forward fp32"], room["forward tf32x3"], room["backward tf32x3"]) >= 2, found
    assert min(room.values()) >= 1, found


def print_compiled() -> None:
    print(json.dumps({name: asdict(made) for name, made in compile_all().items()}))


@needs_gpu
@pytest.mark.parametrize("logit_scale", [1, 10])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("precision", TILES)
def test_one_step_on_a_gpu_equals_float64_autograd(precision: str, loss: str, logit_scale: int) -> None:
    from workers.triton.networks import Networks

    config, dataset, tiles = replace(PAPER, loss=loss), digits(2 * 128, 28, 28, 10), TILES[precision]
    model = start_model(config, dataset, logit_scale)
    networks = Networks([config], [0], Replicates.of([config], DeviceImages.of(dataset, "cuda"), tiles), tiles)
    networks.assign([0], model)
    networks.train_epoch()
    errors = update_errors(networks.flat(networks.velocity, 0), gradients(model.double(), config, dataset))
    print(f"{precision} {loss} logits x {logit_scale}: {max(errors.values()):.1e}")
    assert max(errors.values()) <= PARITY, errors


@needs_gpu
@pytest.mark.parametrize("precision", TILES)
def test_trainings_on_a_gpu_follow_the_reference_and_repeat_their_bits(precision: str) -> None:
    # Three epochs: compiled, captured, replayed.
    dataset = digits(2 * 300, 28, 28, 10)
    plain = [replace(config, fold=i % 2, batch_size=128, epochs=3) for i, config in enumerate(PACK)]
    configs = [replace(config, precision=precision) for config in plain]
    wild = replace(WILD, batch_size=128, epochs=3, precision=precision)
    together = PackedCuda().train([*configs, wild, *configs[::-1]], dataset, "cuda", 1, SILENT)
    truths = Reference().train(plain, dataset, "cuda", 1, SILENT)
    for found, truth in zip(together[:3], truths, strict=True):
        for name in ("loss", "train_loss"):
            np.testing.assert_allclose(getattr(found.curve, name), getattr(truth.curve, name), rtol=1e-5)
        np.testing.assert_allclose(found.curve.accuracy, truth.curve.accuracy, atol=1.01 / 300)
        assert_ends_as_its_curve(found)
    assert together[3].outcome is Outcome.DIVERGED
    alone = [PackedCuda().train([config], dataset, "cuda", 1, SILENT)[0] for config in configs]
    assert bits(together[:3]) == bits(alone)
    assert bits(together[4:]) == bits(alone[::-1])
