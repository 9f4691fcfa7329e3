"""The devices of this machine and the numeric classes they give."""

import os
import platform

from studies.models import registry
from workers.cgroup import processor_limit


def default_device() -> str:
    """`cuda` if torch sees a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """The model of the GPU, or vendor and instruction set of the processor."""
    import torch

    if device == "cpu":
        return f"cpu {_processor_vendor()} {torch.backends.cpu.get_cpu_capability()}"
    return torch.cuda.get_device_name(device)


def numeric_class(engine: str, version: int, precision: str, device: str) -> str:
    """What a training's bits depend on besides its configuration: engine, torch, precision and device."""
    import torch

    return f"{engine}-{version} torch-{torch.__version__} {precision} {device_name(device)}"


def with_code(numeric_class: str, model: str) -> str:
    """A numeric class with the package and version that a model's code comes from, if it does not ship."""
    code = registry.code_of(model)
    return f"{numeric_class}, {model} of {code}" if code else numeric_class


def available_threads() -> int:
    """Processors this process may run on: those of its affinity, and no more than a container's limit pays for."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, processor_limit() or allowed)


def _processor_vendor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("vendor_id"):
                    return line.split(":")[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
