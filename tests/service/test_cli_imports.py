"""What starts at once, since it loads little: a command that only talks to a service, and the service itself."""

import subprocess
import sys

ANALYSIS = {"torch", "optuna_dashboard", "sklearn", "scipy", "pandas", "matplotlib"}
HEAVY = ANALYSIS | {"optuna", "distributed", "sqlalchemy"}


def loaded(module: str) -> set[str]:
    """What a new process has loaded with a module."""
    script = f"import sys, {module}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(told.stdout.split())


def test_the_command_line_loads_nothing_heavy() -> None:
    assert HEAVY & loaded("service.cli.main") == set()


def test_the_service_loads_no_library_of_analysis_before_somebody_needs_it() -> None:
    assert ANALYSIS & loaded("service.server") == set()
