"""The compose files and the manifests agree with the schemas that their readers publish (tests/cluster/schemas)."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import Draft7Validator

from tests.cluster.containers import ROOT, compose

SCHEMAS = Path(__file__).parent / "schemas"
COMPOSE = Draft7Validator(json.loads((SCHEMAS / "compose.json").read_text(encoding="utf-8")))
KUBERNETES = json.loads((SCHEMAS / "kubernetes.json").read_text(encoding="utf-8"))
MANIFESTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def check(manifest: Any) -> None:
    """Hold a manifest against the schema of its kind.

    Raises:
        KeyError, ValidationError: there is no such kind, or it does not look like that.
    """
    schema = KUBERNETES["kinds"][f"{manifest['apiVersion']} {manifest['kind']}"]
    Draft202012Validator(schema | {"$defs": KUBERNETES["$defs"]}).validate(manifest)


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.gpu.yml"])
def test_a_compose_file_agrees_with_the_specification(name: str) -> None:
    COMPOSE.validate(compose(name))


@pytest.mark.parametrize("change", [{"read-only": True}, {"pull_policy": "nevr"}, {"healthcheck": {"intervall": "1s"}}])
def test_the_specification_tells_mistakes(change: dict[str, Any]) -> None:
    wrong = compose()
    wrong["services"]["worker"] |= change
    with pytest.raises(ValidationError):
        COMPOSE.validate(wrong)


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_agrees_with_kubernetes(manifest: dict[str, Any]) -> None:
    check(manifest)


@pytest.mark.parametrize(
    "change",
    [{"terminationGracePeriod": 30}, {"terminationGracePeriodSeconds": "soon"}, {"affinity": {"podAntiAfinity": {}}}],
)
def test_kubernetes_tells_mistakes(change: dict[str, Any]) -> None:
    (worker,) = [param.values[0] for param in MANIFESTS if "worker-Deployment" in str(param.id)]
    wrong: Any = copy.deepcopy(worker)
    wrong["spec"]["template"]["spec"] |= change
    with pytest.raises(ValidationError):
        check(wrong)


def test_the_patch_for_gpus_is_one_of_a_deployment() -> None:
    """What is left out of a patch stays as it is, so the image, which a container needs, is put in here."""
    patch = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "gpu" / "worker.yaml").read_text(encoding="utf-8"))
    definition = {"$ref": "#/$defs/io.k8s.api.core.v1.PodSpec", "$defs": KUBERNETES["$defs"]}
    Draft202012Validator(definition).validate(patch["spec"]["template"]["spec"])
