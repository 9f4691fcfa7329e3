"""`goldenbench demo`: the whole service on one small study, for somebody who has just installed it."""

import sys
import threading

from rich.console import Console

from service.cli.answers import follow, show_comparison
from service.client import Client
from service.config import Settings
from service.errors import GoldenbenchError
from service.logs import configure_logs
from service.server_address import running_address
from studies.catalog import presets


class DemoFailed(GoldenbenchError):
    """The demo did not come to its end."""


def run_demo(settings: Settings) -> None:
    """Run the demo study, on the service that already runs on the data folder or on one of its own.

    At a terminal the service goes on until Ctrl-C; without one this returns when the answer is printed.

    Raises:
        DemoFailed: the service did not start, or the study failed.
        SetupError: the machine's GPUs cannot be used.
    """
    url = running_address(settings.data)
    if url is not None:
        _show(url)
        return
    from service.dispatch.devices import worker_environments
    from service.server import serve  # imports torch's neighbours; only where it is needed

    worker_environments(settings.device)  # to be refused here, and not in the dispatcher again and again
    configure_logs()
    outcome: list[BaseException] = []
    stopping = threading.Event()

    def ready(url: str) -> None:
        threading.Thread(target=_visit, args=(url, outcome, stopping), daemon=True).start()

    serve(settings, ready, stopping)
    if outcome:
        raise outcome[0]


def _visit(url: str, outcome: list[BaseException], stopping: threading.Event) -> None:
    try:
        _show(url)
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("\nServing until Ctrl-C.", flush=True)
            return
    except BaseException as error:
        outcome.append(error)
    stopping.set()


def _show(url: str) -> None:
    console = Console()
    preset = presets()["demo"]
    with Client(url) as client:
        study = client.submit(preset.spec.to_json(), key=f"demo-{preset.spec.fingerprint}")
        if study["status"] in ("cancelled", "failed"):
            study = client.submit(preset.spec.to_json())
        if study["status"] == "paused":
            client.act(study["id"], "resume")
        console.print(f"{preset.title}: {study['progress']['total']} trainings.")
        ended = follow(client, study["id"], console)
        if ended["status"] != "completed":
            raise DemoFailed(f"the demo study is {ended['status']}: {ended['reason'] or 'see the log'}")
        show_comparison(client, study["id"], console)
    links = ended["links"]
    console.print(f"\npage        {url}{links['page']}", highlight=False)
    console.print(f"comparison  {url}{links['comparison']}", highlight=False)
    console.print(f"Optuna      {url}{links['dashboard']}", highlight=False)
