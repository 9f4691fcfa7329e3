"""Registries that packages add to: packages are made on the fly as installers lay them out."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from studies.datasets.registry import DATASETS
from studies.entry_points import Origin, Registry
from studies.models.registry import MODELS, ModelInfo, code_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "goldenbench-example"
GOOD = """
    from studies.models.registry import ModelInfo
    ONE = ModelInfo("one", "One", "nowhere:One", 1, "here")
"""


def package(folder: Path, name: str, version: str, points: dict[str, str], source: str, group: str = "models") -> None:
    """Lay out an installed package of one module."""
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
    information = folder / f"{module}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[goldenbench.{group}]", *(f"{point} = {value}" for point, value in points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")


def seen(folder: Path, code: str) -> Any:
    """What a new process with `folder` on its path prints, as JSON."""
    command = [sys.executable, "-W", "error", "-c", f"import json\n{dedent(code)}"]
    environment = {"PYTHONPATH": f"{folder}", "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""}
    cwd = Path(__file__).parents[2]
    told = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


NAMES_AND_PROBLEMS = """
    from studies.models.registry import MODELS
    print(json.dumps([list(MODELS), dict(MODELS.problems)]))
"""


def test_package_adds_a_model_with_its_version(tmp_path: Path) -> None:
    package(tmp_path, "mine", "2.5", {"one": "mine:ONE"}, GOOD)
    names, origin, shipped = seen(
        tmp_path,
        """
        from studies.models.registry import MODELS, code_of
        print(json.dumps([list(MODELS), code_of("one"), code_of("paper-cnn")]))
        """,
    )
    assert names == ["paper-cnn", "one"]
    assert (origin, shipped) == ("mine 2.5", "")


def test_package_may_be_imported_before_the_registry(tmp_path: Path) -> None:
    package(tmp_path, "mine", "1", {"one": "mine:ONE"}, GOOD)
    assert seen(tmp_path, f"import mine\n{dedent(NAMES_AND_PROBLEMS)}") == [["paper-cnn", "one"], {}]


@pytest.mark.parametrize(
    ("points", "source", "problem"),
    [
        ({"one": "mine:ONE"}, "import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to"),
        ({"one": "mine:TWO"}, GOOD, "AttributeError"),
        ({"one": "mine:ONE"}, "ONE = 1", "TypeError: mine:ONE must be a ModelInfo, not int"),
        ({"uno": "mine:ONE"}, GOOD, "ValueError: mine:ONE is named 'one'; the entry point must have the same name"),
        ({"one": "mine:ONE"}, GOOD.replace('"here"', '" "'), "ValueError: source of one must not be empty"),
        ({"one": "mine:ONE"}, GOOD.replace("nowhere:One", "One"), "factory of one must be module:callable"),
        (
            {"paper-cnn": "mine:ONE"},
            GOOD.replace('"one"', '"paper-cnn"'),
            "something named paper-cnn is registered already, by goldenbench",
        ),
    ],
)
def test_broken_entry_point_is_left_out_and_told(
    tmp_path: Path, points: dict[str, str], source: str, problem: str
) -> None:
    package(tmp_path, "mine", "1.0", points, source)
    names, problems = seen(tmp_path, NAMES_AND_PROBLEMS)
    assert names == ["paper-cnn"]
    (told,) = problems.values()
    assert told.startswith(f"entry point {next(iter(points))} of mine 1.0 (goldenbench.models): ")
    assert problem in told


def test_one_broken_package_leaves_the_others(tmp_path: Path) -> None:
    package(tmp_path, "bad", "1", {"worse": "bad:NOTHING"}, "raise SystemError('no')")
    package(tmp_path, "mine", "1", {"one": "mine:ONE"}, GOOD)
    names, problems = seen(tmp_path, NAMES_AND_PROBLEMS)
    assert names == ["paper-cnn", "one"]
    assert list(problems) == ["worse"]


def test_specification_that_names_a_broken_one_is_told_why(tmp_path: Path) -> None:
    package(tmp_path, "mine", "1.0", {"one": "mine:ONE"}, "import nowhere_to_be_found")
    told = seen(
        tmp_path,
        """
        from studies.fields import SpecError
        from studies.spec import StudySpec
        try:
            StudySpec.from_json({"dataset": "rotated-digits", "loss": "sse", "model": "one"})
        except SpecError as error:
            print(json.dumps(str(error)))
        """,
    )
    assert told.startswith("model: must be one of paper-cnn; entry point one of mine 1.0")


def test_example_package_describes_itself_without_torch() -> None:
    names = seen(
        EXAMPLE,
        """
        import sys
        from goldenbench_example.registration import PERCEPTRON, STRIPES
        heavy = {"torch", "numpy", "scipy"} & set(sys.modules)
        print(json.dumps([PERCEPTRON.name, STRIPES.name, sorted(heavy)]))
        """,
    )
    assert names == ["perceptron", "stripes", []]


def test_what_ships_has_no_package() -> None:
    assert code_of("paper-cnn") == ""
    assert DATASETS.origin("rotated-digits") is None
    assert MODELS.problems == {}


def test_registry_knows_who_registered_what() -> None:
    shipped = ModelInfo("shipped", "Shipped", "a:b", 1, "here")
    registry = Registry("goldenbench.none", ModelInfo, [shipped])
    registry.register(ModelInfo("more", "More", "a:b", 1, "here"), Origin("mine", "3"))
    assert (registry.origin("shipped"), str(registry.origin("more"))) == (None, "mine 3")
    assert (len(registry), "more" in registry, "less" in registry) == (2, True, False)
    with pytest.raises(ValueError, match="something named more is registered already, by mine 3"):
        registry.register(ModelInfo("more", "More", "a:b", 1, "here"))
    with pytest.raises(ValueError, match="small letters, digits and single hyphens"):
        ModelInfo("No Such", "More", "a:b", 1, "here")
