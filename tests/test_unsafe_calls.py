"""Nothing of ours turns bytes into objects by running them: no unpickling, no torch.load, no eval.

Bandit knows most of these; it does not know NumPy's, nor that a name was imported under another.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("service", "studies", "workers", "examples", "setup.py")
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "torch.hub.load", "yaml.load"}
CALLS |= {"yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "pandas.read_pickle", "torch.package.PackageImporter"}
CALLS |= {"distributed.protocol.pickle.loads", "distributed.protocol.deserialize"}
LOADERS = {"numpy.load", "numpy.lib.npyio.NpzFile", "numpy.lib.format.read_array"}
"""They unpickle unless told not to."""


def unsafe(source: str) -> list[str]:
    """The unsafe imports and calls in a program, as `line: what`."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                whole = inside + alias.name
                visible = whole if alias.asname or inside else whole.partition(".")[0]
                names[alias.asname or alias.name.partition(".")[0]] = visible
                if MODULES & set(whole.split(".")):
                    found.append(f"{node.lineno}: {whole}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            name = names.get(first, first) + (f".{rest}" if rest else "")
            told = any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)
            if name in CALLS or (name in LOADERS and not told):
                found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_program_of_ours_runs_foreign_bytes(folder: str) -> None:
    path = ROOT / folder
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    assert files
    found = {str(file.relative_to(ROOT)): unsafe(file.read_text(encoding="utf-8")) for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(f)",
        "import torch as t\nt.load(f, weights_only=True)",
        "from torch import load\nload(f)",
        "import numpy as np\nnp.load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "from numpy import load as read\nread(f)",
        "import yaml\nyaml.load(f)",
        "import pandas as pd\npd.read_pickle(f)",
        "eval('1')",
        "def f():\n    import cloudpickle",
        "from distributed.protocol import pickle",
    ],
)
def test_unsafe_program_is_found(source: str) -> None:
    assert unsafe(source)


@pytest.mark.parametrize(
    "source", ["import numpy as np\nnp.load(f, allow_pickle=False)", "import yaml\nyaml.safe_load(f)", "model.eval()"]
)
def test_safe_program_is_not_found(source: str) -> None:
    assert unsafe(source) == []
