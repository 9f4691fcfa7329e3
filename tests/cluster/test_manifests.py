"""Files for Kubernetes, systemd and SLURM: they speak of commands, settings and images that exist.

None of them has run on a cluster; docs/deployment.md says so.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import Settings
from tests.cluster.containers import ROOT, STAGES, parse

DEPLOY = ROOT / "deploy"
KNOWN = {f"GOLDENBENCH_{field.upper()}" for field in Settings.model_fields} | {"GOLDENBENCH_LOG"}
DOCUMENTS = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]
    for document in DOCUMENTS
    if document["kind"] in ("Deployment", "StatefulSet", "Job")
}


def test_the_document_speaks_of_what_exists() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    ours = [part[part.index("goldenbench") + 1 :] for part in commands if "goldenbench" in part]
    run = [part for part in commands if part[:3] == ["docker", "compose", "run"] and "--entrypoint" not in part]
    ours += [part[part.index("service") + 1 :] for part in run]
    assert len(ours) >= 7
    for command in ours:
        parse(command)
    for path in re.findall(r"(?<![\w./])(?:deploy|tests)/[\w./-]+\w", text):
        assert (ROOT / path).exists(), path
    assert set(re.findall(r"GOLDENBENCH_\w+", text)) <= KNOWN | {"GOLDENBENCH_TOKEN"}


def value(container: dict[str, Any], name: str) -> Any:
    """An environment variable of a container."""
    return next((one.get("value") for one in container["env"] if one["name"] == name), None)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_can_do_little(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == expected
    assert {"requests", "limits"} == set(container["resources"])


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_what_exists(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    parse(list(container["args"]))
    image, _, tag = container["image"].partition(":")
    assert image.removeprefix("goldenbench-") in STAGES
    assert tag == version("goldenbench")
    assert {one["name"] for one in container["env"]} <= KNOWN
    mounted = {one["name"] for one in container["volumeMounts"]}
    offered = {one["name"] for one in PODS[name]["spec"]["volumes"]}
    assert mounted - offered <= ({"data"} if name == "goldenbench" else set())
    scheduler = value(container, "GOLDENBENCH_SCHEDULER")
    assert scheduler in (None, "tls://goldenbench-scheduler:8786")


def test_the_patch_for_gpus_fits_the_worker_that_is_there() -> None:
    patch = yaml.safe_load((DEPLOY / "kubernetes" / "gpu" / "worker.yaml").read_text(encoding="utf-8"))
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    (patched,) = PODS["goldenbench-worker"]["spec"]["containers"]
    assert container["name"] == patched["name"]
    assert value(container, "GOLDENBENCH_DEVICE") == "cuda"
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}}


def test_applying_the_manifests_again_makes_no_second_token() -> None:
    (container,) = PODS["goldenbench-token"]["spec"]["containers"]
    assert "--if-none" in container["args"]


def test_workers_keep_apart() -> None:
    """On one node they would share its processors, each with as many threads as there are."""
    template = PODS["goldenbench-worker"]
    (one,) = template["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert one["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": template["metadata"]["labels"]},
    }


def test_services_and_policies_select_the_pods_that_are_there() -> None:
    labels = [pod["metadata"]["labels"] for pod in PODS.values()]
    for document in DOCUMENTS:
        spec = document["spec"]
        if document["kind"] == "Service":
            wanted = spec["selector"]
        elif document["kind"] == "NetworkPolicy":
            wanted = spec["podSelector"]["matchLabels"]
        else:
            wanted = spec["template"]["metadata"]["labels"]
        assert wanted in labels, document["metadata"]["name"]


def test_the_probes_are_answered() -> None:
    (container,) = PODS["goldenbench"]["spec"]["containers"]
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[kind]["httpGet"]
        assert probe["path"] == "/healthz"  # open, and up without workers
        assert probe["httpHeaders"] == [{"name": "Host", "value": "localhost"}]  # others are refused as foreign names
    assert PODS["goldenbench"]["spec"]["terminationGracePeriodSeconds"] > 30


@pytest.mark.parametrize("role", ["scheduler", "service", "worker"])
def test_units_run_what_exists(role: str) -> None:
    text = (DEPLOY / "systemd" / f"goldenbench-{role}.service").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    program, *arguments = shlex.split(settings["ExecStart"])
    assert Path(program).name == "goldenbench"
    parse(arguments)
    assert settings["Restart"] == "always"  # a worker whose scheduler went away ends with code 0
    assert int(settings["TimeoutStopSec"]) >= 30
    assert settings["EnvironmentFile"] == f"/etc/goldenbench/{role}.env"
    assert settings["User"] == "goldenbench"


def test_the_batch_job_passes_the_signal_on(tmp_path: Path) -> None:
    script = (DEPLOY / "slurm" / "worker.sbatch").read_text(encoding="utf-8")
    (command,) = re.findall(r"GOLDENBENCH_BIN:-goldenbench}\" (.+) &$", script, re.MULTILINE)
    parse(shlex.split(command))
    (tmp_path / "worker.env").write_text("GOLDENBENCH_SCHEDULER=tls://a:8786\n")
    stand_in = tmp_path / "goldenbench"
    stand_in.write_text(
        "#!/bin/bash\n"
        f'echo "$GOLDENBENCH_SCHEDULER $GOLDENBENCH_DEVICE $*" >{tmp_path}/called\n'
        f"trap 'echo stopped >{tmp_path}/stopped; exit 0' TERM\n"
        "while :; do sleep 0.05; done\n"
    )
    stand_in.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "GOLDENBENCH_BIN": str(stand_in),
        "GOLDENBENCH_SETTINGS": str(tmp_path / "worker.env"),
        "TMPDIR": str(tmp_path),
    }
    job = subprocess.Popen(["bash", str(DEPLOY / "slurm" / "worker.sbatch")], env=environment)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "called").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # for the trap that comes after it
        job.send_signal(signal.SIGTERM)
        assert job.wait(20) == 0
    finally:
        job.kill()
    assert (tmp_path / "called").read_text().startswith("tls://a:8786 cuda worker --data ")
    assert (tmp_path / "stopped").exists()
    assert not list(tmp_path.glob("goldenbench-*")), "its folder is left"
