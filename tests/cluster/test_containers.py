"""docker-compose.yml and the Dockerfile: what they promise, and that they speak of things that exist.

There is no container engine where these tests run; tests/cluster/test_hosts.py runs the same commands on hosts.
"""

import re
import stat
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from service.config import Settings
from tests.cluster.containers import DOCKERFILE, ROOT, STAGES, command_of, compose, environment_of, parse

SERVICES: dict[str, Any] = compose()["services"]
OURS = sorted(set(SERVICES) - {"database"})
ONCE = {"secrets", "migrate", "prepare"}
TOOLS = {name for name, service in SERVICES.items() if "profiles" in service}
OTHER_VARIABLES = {"GOLDENBENCH_LOG", "GOLDENBENCH_LOG_FORMAT"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].partition(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), "an image without a version"


def test_only_the_service_is_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"service": ["127.0.0.1:8765:8765"]}
    assert compose()["networks"]["backend"] == {"internal": True}
    outside = {name for name, service in SERVICES.items() if "frontend" in service.get("networks", [])}
    assert outside == {"service", "prepare"}


@pytest.mark.parametrize("name", OURS)
def test_commands_and_settings_exist(name: str) -> None:
    service = SERVICES[name]
    entrypoint = service.get("entrypoint", ["goldenbench"])
    if entrypoint[0] == "goldenbench":
        parse([*entrypoint[1:], *command_of(name)])
    else:
        assert (ROOT / "deploy/container" / entrypoint[0]).stat().st_mode & stat.S_IXUSR
    given = environment_of(name, {})
    known = {f"GOLDENBENCH_{field.upper()}" for field in Settings.model_fields} | OTHER_VARIABLES
    assert set(given) <= known
    Settings(**{key.removeprefix("GOLDENBENCH_").lower(): value for key, value in given.items()})


def test_strangers_need_a_token_and_no_secret_is_in_the_environment() -> None:
    fields = {key.removeprefix("GOLDENBENCH_").lower(): value for key, value in environment_of("service", {}).items()}
    assert Settings(**fields).tokens_required
    settings = {key: value for service in SERVICES.values() for key, value in service.get("environment", {}).items()}
    secret = {key: value for key, value in settings.items() if re.search("PASSWORD|TOKEN|SECRET|KEY", key)}
    assert secret == {
        "POSTGRES_PASSWORD_FILE": "/secrets/database/password",
        "GOLDENBENCH_TLS_KEY": "/secrets/tls/key.pem",
    }
    assert not re.search("//[^@/]*:[^@/]*@", settings["GOLDENBENCH_DATABASE_URL"]), "a password in an address"


def test_everything_waits_for_what_it_needs_and_ends_in_peace() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            once = needed in ONCE
            assert how == {"condition": "service_completed_successfully" if once else "service_healthy"}, name
            assert once or "healthcheck" in SERVICES[needed]
        if name not in ONCE:
            assert int(service["stop_grace_period"].removesuffix("s")) >= 30
    for name in ("scheduler", "service"):
        compile(SERVICES[name]["healthcheck"]["test"][-1], name, "exec")


def test_volumes_and_networks_are_declared() -> None:
    document = compose()
    mounted = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounted == set(document["volumes"])
    joined = {network for service in SERVICES.values() for network in service.get("networks", [])}
    assert joined == set(document["networks"])


def test_the_gpu_file_only_adds_devices_to_the_worker() -> None:
    (worker,) = compose("docker-compose.gpu.yml")["services"].values()
    assert set(worker) == {"environment", "deploy"}
    assert worker["environment"]["GOLDENBENCH_DEVICE"] == "cuda"
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


@pytest.mark.parametrize("target", ["service", "worker"])
def test_each_image_is_built_by_one_container_that_the_others_wait_for(target: str) -> None:
    """Two that build the same image do so at once, and the second finds it there already."""
    image = f"goldenbench-{target}:{version('goldenbench')}"
    users = {name for name in OURS if SERVICES[name]["image"] == image}
    (builder,) = [name for name in users if "build" in SERVICES[name]]
    assert SERVICES[builder]["build"] == {"context": ".", "target": target}
    for name in users - {builder} - TOOLS:
        assert builder in needed_by(name), f"{name} may start before {builder} has built its image"
    last = DOCKERFILE.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
    assert re.findall(r"^USER (\S+)$", last, re.MULTILINE)[-1] == "10001:10001"


def test_what_triton_builds_can_be_built_and_loaded_by_the_worker_alone() -> None:
    """It compiles its launcher with a C compiler and loads it from its cache, which is under HOME."""
    assert "HOME=/tmp" in DOCKERFILE
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.DOTALL | re.MULTILINE))
    assert {name for name, text in stages.items() if "gcc libc6-dev" in text} == {"tools", "worker"}
    mounted = [(name, place) for name in SERVICES for place in SERVICES[name].get("tmpfs", [])]
    loadable = {(name, place.partition(":")[0]) for name, place in mounted if "exec" in re.split("[:,]", place)}
    assert loadable == {("worker", "/tmp")}


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_asked_of_no_registry(name: str) -> None:
    assert SERVICES[name]["image"].startswith("goldenbench-")
    assert SERVICES[name]["pull_policy"] == "never"


def needed_by(name: str) -> set[str]:
    """Everything that a container waits for, and what that waits for."""
    direct = set(SERVICES[name].get("depends_on", {}))
    return direct.union(*(needed_by(one) for one in direct))


def test_the_database_is_healthy_only_once_it_listens_on_an_address() -> None:
    """The server that first makes the database's files listens on its socket alone, and stops again."""
    assert "--host=127.0.0.1" in SERVICES["database"]["healthcheck"]["test"]


def test_the_dockerfile_is_pinned_and_its_context_holds_what_it_copies() -> None:
    foreign = [base for base in STAGES.values() if base not in STAGES]
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in foreign), foreign
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in [part for part in line.split() if not part.startswith("--")][:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(fnmatch(source, f"{one}*") for one in kept), f"{source} is not in the build's context"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    for folder in ("tls", "database"):
        (tmp_path / folder).mkdir()
    command = ["sh", str(ROOT / "deploy/container/make-secrets"), str(tmp_path)]
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    contents = []
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True, env=path)
        contents.append({file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()})
    assert contents[0] == contents[1]
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "database").iterdir()}
    assert modes == {"password": 0o640, "pgpass": 0o600}
    password = contents[0]["password"].decode().strip()
    assert re.fullmatch(r"[0-9a-f]{64}", password)
    assert contents[0]["pgpass"].decode() == f"database:5432:goldenbench:goldenbench:{password}\n"


def test_the_service_image_needs_no_torch() -> None:
    everything = "service.server, service.cli.nodes, service.cli.doctor, studies.answer, studies.datasets.prepare"
    script = f"import sys, {everything}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision"} & set(told.stdout.split())
    left_out = (ROOT / "deploy/container/without-torch.txt").read_text().split()
    assert {"torch", "torchvision"} <= set(left_out)
