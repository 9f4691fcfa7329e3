"""Makes the two schemas here from those that others publish: only what our files use, without the prose.

python tests/cluster/schemas/reduce.py COMPOSE_SCHEMA KUBERNETES_FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KINDS = ("deployment-apps-v1", "statefulset-apps-v1", "job-batch-v1", "service-v1", "networkpolicy-networking-v1")
PROSE = ("description", "title", "deprecated", "format")


def closed(node: Any) -> Any:
    """A schema without prose, in which an object has the fields that are declared and no others."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: closed(one) for name, one in value.items()} if key == "properties" else closed(value)
        for key, value in node.items()
        if key not in PROSE and not key.startswith("x-kubernetes")
    }
    if isinstance(kept.get("$ref"), str):
        kept["$ref"] = kept["$ref"].replace("/api/_definitions.json", "")
    return kept if "properties" not in kept else {"additionalProperties": False} | kept


def named(node: Any) -> set[str]:
    """The definitions that a schema refers to."""
    if isinstance(node, list):
        return set().union(*map(named, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(named, node.values()))


def kubernetes(folder: Path) -> dict[str, Any]:
    """One schema for each of the kinds, with the definitions that any of them needs."""
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    kinds = {kind: closed(json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))) for kind in KINDS}
    needed: dict[str, Any] = {}
    while missing := named([kinds, needed]) - set(needed):
        needed |= {name: closed(definitions[name]) for name in missing}
    by_kind = {
        f"{one['properties']['apiVersion']['enum'][0]} {one['properties']['kind']['enum'][0]}": one
        for one in kinds.values()
    }
    return {"kinds": by_kind, "$defs": dict(sorted(needed.items()))}


def write(name: str, document: Any) -> None:
    """One line for each entry on top, so that a change can be read."""
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in document.items()]
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    compose = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    write("compose.json", closed(compose))
    write("kubernetes.json", kubernetes(Path(sys.argv[2])))
