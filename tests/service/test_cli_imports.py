"""A command that only talks to a service starts at once: it loads neither torch nor a database nor Optuna."""

import subprocess
import sys

HEAVY = {"torch", "optuna", "optuna_dashboard", "sklearn", "scipy", "pandas", "distributed", "sqlalchemy", "matplotlib"}


def test_the_command_line_loads_nothing_heavy() -> None:
    script = "import sys, service.cli.main; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY & set(told.stdout.split()) == set()
