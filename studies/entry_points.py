"""Registries of what a specification names, which installed packages add to by Python entry points.

An entry point of the registry's group is named like what it registers and points to its description:

    [project.entry-points."goldenbench.models"]
    perceptron = "my_package.registration:PERCEPTRON"

A broken one is left out and reported; it never keeps anything else from working.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What registered things may be called: they stand in file names, tables and addresses."""


class Described(Protocol):
    """A description with a name."""

    @property
    def name(self) -> str:
        """Used in specifications."""


Info = TypeVar("Info", bound=Described)


@dataclass(frozen=True)
class Origin:
    """The installed package that registered something."""

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class Registry(Mapping[str, Info], Generic[Info]):
    """Descriptions by name: what ships first, then what packages add, in the order of package and name.

    Entry points are looked up at the first use, not at import, so that a package's modules may import this one.

    Args:
        group: of the entry points.
        kind: what they have to point to.
        shipped: what needs no package.
    """

    def __init__(self, group: str, kind: type[Info], shipped: Iterable[Info]) -> None:
        self.group = group
        self._kind = kind
        self._infos: dict[str, Info] = {}
        self._origins: dict[str, Origin] = {}
        self._problems: dict[str, str] = {}
        self._looked_up = False
        self._lock = threading.RLock()
        for info in shipped:
            self.register(info)

    def register(self, info: Info, origin: Origin | None = None) -> None:
        """Add a description.

        Args:
            info: its name must be new.
            origin: the package it comes from; None for what ships, or is registered in this process only.

        Raises:
            ValueError: the name is taken, or breaks the rule of names.
        """
        check_name(info.name)
        if info.name in self._infos:
            by = self._origins.get(info.name, "goldenbench")
            raise ValueError(f"something named {info.name} is registered already, by {by}")
        self._infos[info.name] = info
        if origin is not None:
            self._origins[info.name] = origin

    def origin(self, name: str) -> Origin | None:
        """The package that registered a name; None for what ships."""
        self._look_up()
        return self._origins.get(name)

    @property
    def problems(self) -> Mapping[str, str]:
        """Entry points that were left out, by name, each with what is wrong with it."""
        self._look_up()
        return MappingProxyType(self._problems)

    def __getitem__(self, name: str) -> Info:
        self._look_up()
        return self._infos[name]

    def __iter__(self) -> Iterator[str]:
        self._look_up()
        return iter(tuple(self._infos))

    def __len__(self) -> int:
        self._look_up()
        return len(self._infos)

    def _look_up(self) -> None:
        with self._lock:
            if self._looked_up:
                return
            self._looked_up = True
            found = [(_origin(point), point) for point in entry_points(group=self.group)]
            for origin, point in sorted(found, key=lambda pair: (str(pair[0]), pair[1].name)):
                try:
                    self.register(self._load(point), origin)
                except Exception as error:  # whatever a stranger's module raises while it is imported
                    told = f"{type(error).__name__}: {error}".strip(": ")
                    self._problems[point.name] = f"entry point {point.name} of {origin} ({self.group}): {told}"

    def _load(self, point: EntryPoint) -> Info:
        info = point.load()
        if not isinstance(info, self._kind):
            raise TypeError(f"{point.value} must be a {self._kind.__name__}, not {type(info).__name__}")
        if info.name != point.name:
            raise ValueError(f"{point.value} is named {info.name!r}; the entry point must have the same name")
        return info


def check_name(name: str) -> None:
    """Refuse a name that could not stand in a file name.

    Raises:
        ValueError: the rule and the name.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"name must be small letters, digits and single hyphens, got {name!r}")


def _origin(point: EntryPoint) -> Origin:
    return Origin(point.dist.name, point.dist.version) if point.dist is not None else Origin("an unknown package", "?")
