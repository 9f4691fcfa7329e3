"""Builds the packed CPU engine's library; everything else about the package stands in pyproject.toml.

Without a C compiler the installation succeeds all the same, and the reference engine trains instead.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

NATIVE = Path("workers/native")
COMMON = ["-O3", "-std=gnu11", "-fvisibility=hidden"]
VARIANTS: dict[str, list[str]] = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    VARIANTS["avx2"] = ["-mavx2", "-mfma"]
    avx512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"]
    VARIANTS["avx512"] = [*VARIANTS["avx2"], *avx512, "-mprefer-vector-width=512"]


class BuildVariants(build_ext):
    """Compiles the engine once for each instruction set, all into one library."""

    def build_extension(self, ext: Extension) -> None:
        """Put one object per variant beside that of the dispatch."""
        for name, flags in VARIANTS.items():
            try:
                ext.extra_objects += self.compile_variant(ext, name, flags)
            except CompileError as error:
                # A compiler older than the instruction set; the others still serve.
                if name == "baseline":
                    raise
                self.warn(f"the packed CPU engine goes without {name}: {error}")
        super().build_extension(ext)

    def compile_variant(self, ext: Extension, name: str, flags: list[str]) -> list[str]:
        """Compile the engine under an object name of its own: distutils names objects after their source."""
        objects: list[str] = self.compiler.compile(
            [str(NATIVE / "engine.c")],
            output_dir=str(Path(self.build_temp) / name),
            macros=[("SUFFIX", name)],
            extra_postargs=[*COMMON, *flags],
            depends=ext.depends,
        )
        return objects


library = Extension(
    "workers.native.packed",
    sources=[str(NATIVE / "dispatch.c")],
    depends=[str(path) for path in sorted(NATIVE.glob("*.[ch]"))],
    extra_compile_args=COMMON,
    libraries=["m"],
    optional=True,
)

setup(ext_modules=[library], cmdclass={"build_ext": BuildVariants})
