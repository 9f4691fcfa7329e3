"""`python -m studies.calibration [--quick] [--out docs/calibration.md]`"""

import argparse
import sys
from pathlib import Path

from studies.calibration.report import LONG, QUICK, page


def main(arguments: list[str] | None = None) -> int:
    """Simulate, print the page, and say by the exit status whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m studies.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer studies and rows: seconds, not minutes")
    parser.add_argument("--out", type=Path, help="write the page here instead of printing it")
    options = parser.parse_args(arguments)
    command = "python -m studies.calibration" + (" --quick" if options.quick else "")
    command += f" --out {options.out}" if options.out else ""
    text, kept = page(QUICK if options.quick else LONG, command)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    else:
        sys.stdout.write(text + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
