"""The devices that get a worker, and the environment that tells a worker which one is its own."""

from service.errors import SetupError
from workers.gpus import GpusUnknown, visible_gpus
from workers.tasks import DEVICE_VARIABLE


def worker_environments(device: str) -> list[dict[str, str]]:
    """The environment of each worker of this machine, found without importing torch.

    Args:
        device: `auto`: one worker for each NVIDIA GPU, or one on the processor where there is none; `cuda` and `cpu`:
            nothing but the one or the other.

    Raises:
        SetupError: `cuda` and no GPU, or GPUs that cannot be listed. A machine whose GPUs are broken must not pass for
            one without: it would train a hundredth as fast, and pin studies to its processor.
    """
    if device == "cpu":
        return [{DEVICE_VARIABLE: "cpu"}]
    try:
        gpus = visible_gpus()
    except GpusUnknown as error:
        raise SetupError(f"{error}. Mend the driver, or choose the processor: GOLDENBENCH_DEVICE=cpu") from error
    if device == "cuda" and not gpus:
        raise SetupError(
            "GOLDENBENCH_DEVICE is cuda, and there is no GPU: nvidia-smi is not there or lists none, "
            "or CUDA_VISIBLE_DEVICES is empty"
        )
    return [{DEVICE_VARIABLE: "cuda", "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [{DEVICE_VARIABLE: "cpu"}]
