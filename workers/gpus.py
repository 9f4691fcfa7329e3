"""The NVIDIA GPUs of this machine, or the reason why they cannot be used."""

import os
import re
import shutil
import subprocess

LISTING_SECONDS = 60
"""How long nvidia-smi may take; without the persistence daemon a machine of eight GPUs needs some 20 s."""
_UUID = re.compile(r"^\s*(GPU|MIG) .*\(UUID: ([^)\s]+)\)\s*$")


class GpusUnknown(Exception):
    """There is an NVIDIA driver, and it does not say which GPUs it has."""


def visible_gpus() -> list[str]:
    """Identifiers of what this process may use of the NVIDIA GPUs, found without importing torch.

    Returns:
        What `CUDA_VISIBLE_DEVICES` lists, if it is set; else of each GPU its MIG slices, or itself where it has none: a
        GPU that is cut into slices takes no work as a whole.

    Raises:
        GpusUnknown: nvidia-smi is there and fails, as it does with a broken driver or GPU.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() not in ("", "-1")]
    query = shutil.which("nvidia-smi")
    return [] if query is None else _usable(_listing(query))


def why_unusable() -> str | None:
    """Why torch cannot compute on the GPU that this process was given; None if it can."""
    import torch

    try:
        # Memory, and a kernel: a GPU that torch was not built for has the one and not the other.
        (torch.ones(1, device="cuda") + 1).item()
    except (RuntimeError, AssertionError) as error:  # the latter without CUDA in torch
        given = os.environ.get("CUDA_VISIBLE_DEVICES", "any GPU")
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"torch {torch.__version__} with CUDA {torch.version.cuda} cannot use {given}: {told}"
    return None


def _listing(query: str) -> str:
    try:
        done = subprocess.run([query, "-L"], capture_output=True, text=True, timeout=LISTING_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GpusUnknown(f"{query} -L fails: {error}") from error
    if done.returncode != 0:
        told = " ".join(f"{done.stdout} {done.stderr}".split())[:300]
        raise GpusUnknown(f"{query} -L fails with code {done.returncode}: {told or 'it says nothing'}")
    return done.stdout


def _usable(listing: str) -> list[str]:
    """The identifiers in what `nvidia-smi -L` prints: a line for each GPU, its slices on lines below."""
    gpus: list[list[str]] = []
    for kind, uuid in (found.groups() for line in listing.splitlines() if (found := _UUID.match(line))):
        if kind == "GPU":
            gpus.append([uuid])
        elif gpus:
            gpus[-1].append(uuid)
    return [uuid for whole, *slices in gpus for uuid in slices or [whole]]
