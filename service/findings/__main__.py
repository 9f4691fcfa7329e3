"""`python -m service.findings train|page`: train the studies behind the findings, and report them."""

import argparse
import sys
from pathlib import Path

from service.findings.catalog import findings
from service.findings.landscapes import LANDSCAPES
from service.findings.page import filled
from service.findings.pictures import draw_landscapes
from service.findings.trained import network_epochs, read_all
from studies.datasets.load import load
from studies.datasets.prepare import prepare
from studies.spec import StudySpec
from workers.devices import default_device
from workers.run import run


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m service.findings", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("var"), help="data folder (default: var)")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train what is not trained yet; may be stopped and started at will")
    train.add_argument("names", nargs="*", help="studies (default: all, the most important first)")
    page = commands.add_parser("page", help="make the tables and pictures of the page anew, from what is trained")
    page.add_argument("file", type=Path, nargs="?", default=Path("docs/findings.md"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    catalog, folder = findings(), options.data / "findings"
    if options.command == "page":
        text, library = options.file.read_text(encoding="utf-8"), read_all(catalog, folder)
        options.file.write_text(filled(text, library, catalog), encoding="utf-8")
        draw_landscapes(library, LANDSCAPES, options.file.parent / "findings")
        return 0
    unknown = set(options.names) - set(catalog)
    if unknown:
        parser.error(f"no such study: {', '.join(sorted(unknown))}; there are {', '.join(catalog)}")
    for name in options.names or catalog:
        train_study(name, catalog[name].spec, options.data)
    return 0


def train_study(name: str, spec: StudySpec, data: Path) -> None:
    """Train what is missing of one study into DATA/findings/NAME."""
    print(f"{name}: {network_epochs(spec)} network-epochs", flush=True)
    file = prepare(spec.dataset, spec.folds, data)
    run(spec, load(file.path, file.sha256), data / "findings" / name, default_device())


if __name__ == "__main__":
    sys.exit(main())
