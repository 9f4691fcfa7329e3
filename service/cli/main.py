"""`goldenbench`: every command's flags; what they do stands in the files beside this one."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli import answers, backups, completion, control, files, nodes, pairs, record, suites
from service.cli.demo import run_demo
from service.client import Unreachable
from service.errors import GoldenbenchError
from service.plots.kinds import Kind

HELP = "Does a prescribed learning rate and momentum sit near the empirical optimum? Studies that find out."
EXIT_CODES = """Exit codes: 0 all is well; 1 refused or failed, with the reason on standard error; 2 the command line is
wrong; 3 a watched study or suite ended without completing; 4 no service answers."""

app = typer.Typer(
    no_args_is_help=True, help=HELP, epilog=EXIT_CODES, pretty_exceptions_enable=False, rich_markup_mode=None
)

Data = Annotated[Path | None, typer.Option(help="Data folder (GOLDENBENCH_DATA, default ./var)")]
Host = Annotated[str | None, typer.Option(help="Address to listen on (GOLDENBENCH_HOST); see docs/security.md")]
Port = Annotated[int | None, typer.Option(help="Port; if busy, the next free one (GOLDENBENCH_PORT, default 8765)")]
Database = Annotated[str | None, typer.Option(help="SQLAlchemy address (GOLDENBENCH_DATABASE_URL, default SQLite)")]
Scheduler = Annotated[str | None, typer.Option(help="Dask scheduler (GOLDENBENCH_SCHEDULER)")]
Url = Annotated[str | None, typer.Option(help="Address of the service (GOLDENBENCH_URL, default: the local one)")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
Study = Annotated[str, typer.Argument(help="A study's id", autocompletion=completion.studies)]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; - for standard output")]

ScopeName = Literal["read", "submit", "admin"]

token = typer.Typer(no_args_is_help=True, help="Tokens: who may use a service. Needs its database, not the service.")
app.add_typer(token, name="token")


@app.command()
def up(data: Data = None, host: Host = None, port: Port = None, database_url: Database = None) -> None:
    """Run everything on this machine: service, store, scheduler, one worker per device."""
    nodes.up(data=data, host=host, port=port, database_url=database_url)


@app.command()
def serve(
    scheduler: Scheduler = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    database_url: Database = None,
) -> None:
    """Run the service against a Dask scheduler that runs elsewhere."""
    nodes.serve_cluster(scheduler=scheduler, data=data, host=host, port=port, database_url=database_url)


@app.command()
def scheduler(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port")] = 8786,
) -> None:
    """Run a Dask scheduler for a cluster; beyond loopback with TLS only."""
    nodes.scheduler(host, port)


@app.command()
def worker(
    scheduler: Scheduler = None,
    data: Data = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: the one from which the scheduler is reached")
    ] = None,
    ports: Annotated[
        str | None, typer.Option(help="FIRST:LAST to listen on, two for each device; default: any")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(
            help="cuda: NVIDIA GPUs or nothing; cpu: the processor; default: GPUs if there are any (GOLDENBENCH_DEVICE)"
        ),
    ] = None,
) -> None:
    """Run one supervised worker per GPU of this machine, or one on its processor."""
    raise typer.Exit(nodes.workers(host, ports, scheduler=scheduler, data=data, device=device))


@app.command()
def certificates(
    folder: Annotated[Path, typer.Argument(help="For ca.pem, cert.pem and key.pem")],
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address to put into the certificate; may be given several times")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is valid")] = 730,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Leave files that are there alone")] = False,
) -> None:
    """Make the files with which scheduler, workers and service speak TLS, and print the settings that name them."""
    nodes.certificates(folder, host or [], days, if_missing)


@app.command()
def migrate(data: Data = None, database_url: Database = None) -> None:
    """Make the tables of a database, or bring them to this version, as each start of the service does too."""
    nodes.migrate(data=data, database_url=database_url)


@app.command()
def submit(
    what: Annotated[
        str,
        typer.Argument(
            help="A preset's name, a JSON file, or - for standard input", autocompletion=completion.presets_and_suites
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Watch it and print the answer")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Of a suite that ships: the version of some minutes")] = False,
    url: Url = None,
) -> None:
    """Queue a study, or a suite of studies."""
    spec = answers.read_spec(what, quick)
    submit_it = suites.submit if isinstance(spec, dict) and "studies" in spec else answers.submit
    raise typer.Exit(submit_it(spec, wait, url))


@app.command()
def table(suite: Annotated[str, typer.Argument(help="A suite's id")], as_json: AsJson = False, url: Url = None) -> None:
    """Print a suite's table: each row beside what the paper reports, and what the differences say."""
    suites.table(suite, as_json, url)


@app.command()
def watch(study: Study, url: Url = None) -> None:
    """Show a study's progress, and the best cell so far, until it ends."""
    raise typer.Exit(answers.watch(study, url))


@app.command()
def compare(
    study: Study,
    other: Annotated[
        str | None,
        typer.Argument(help="Another study's id: compare the two instead", autocompletion=completion.studies),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Print the answer: verdict, interval, the prescribed point beside the best cell and the references.

    With two studies that share data, folds and seed: how they differ at their prescribed points and best cells.
    """
    if other is None:
        answers.compare(study, as_json, url)
    else:
        pairs.compare_pair(study, other, as_json, url)


@app.command()
def plot(
    study: Study,
    kind: Annotated[
        Kind, typer.Option(help="heatmap: the landscape; curves: by epoch; ridge: along momentum")
    ] = "heatmap",
    output: Output = None,
    url: Url = None,
) -> None:
    """Write a picture of a study, SVG or PNG by the file's ending (default goldenbench-STUDY-KIND.svg)."""
    files.plot(study, kind, output, url)


@app.command()
def export(
    study: Study,
    form: Annotated[files.Export, typer.Option("--format", help="csv for spreadsheets, parquet for programs")] = "csv",
    output: Output = None,
    url: Url = None,
) -> None:
    """Write every stored training of a study, to standard output by default."""
    files.export(study, form, output, url)


@app.command()
def studies(
    limit: Annotated[int, typer.Option(min=1, help="How many")] = 20, as_json: AsJson = False, url: Url = None
) -> None:
    """List studies, the newest first."""
    control.list_studies(limit, as_json, url)


@app.command()
def cancel(study: Study, url: Url = None) -> None:
    """End a study; what is stored stays."""
    control.act(study, "cancel", url)


@app.command()
def pause(study: Study, url: Url = None) -> None:
    """Hand out no more trainings of a study."""
    control.act(study, "pause", url)


@app.command()
def resume(study: Study, url: Url = None) -> None:
    """Go on with a paused study."""
    control.act(study, "resume", url)


@app.command()
def extend(
    study: Study,
    runs: Annotated[int, typer.Argument(min=1, help="Runs per fold and cell to add")],
    url: Url = None,
) -> None:
    """Add runs to a study, also to a completed one; each look at the answer is paid for by a wider interval."""
    control.extend(study, runs, url)


@app.command()
def doctor(
    data: Data = None,
    database_url: Database = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Say what is installed, which device and engine would train, and whether database, service and workers answer."""
    from service.cli.doctor import doctor as examine  # imports what other commands do without

    settings = nodes.settings(data=data, database_url=database_url, scheduler=scheduler)
    raise typer.Exit(examine(settings, url, as_json))


@app.command()
def demo(data: Data = None, port: Port = None) -> None:
    """Run the service, the demo study, and print its answer."""
    run_demo(nodes.settings(data=data, port=port))


@app.command("data")
def prepare_data(
    name: Annotated[str | None, typer.Argument(help="A data set's name; without it, list them")] = None,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Folds to cut it into")] = 10,
    data: Data = None,
) -> None:
    """List the data sets, or prepare one (downloading it if it has to be)."""
    nodes.prepare_data(name, folds, data)


@app.command()
def bench(
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda if there is one")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; default: all")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="About how long to measure")] = 40.0,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine trains, beside a plain PyTorch loop and a large matrix product."""
    raise typer.Exit(nodes.bench(device, threads, seconds, as_json))


@app.command("import")
def import_results(
    folder: Annotated[Path, typer.Argument(help="What `python -m workers.run` wrote")],
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Take the results of `python -m workers.run` into the store (while no service runs on it)."""
    nodes.import_results(folder, data=data, database_url=database_url)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist")],
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Write a backup of database and prepared data sets, whether a service runs or not."""
    backups.backup(file, data=data, database_url=database_url)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `goldenbench backup` wrote")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the database")] = False,
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Put a backup in the place of an empty database, while no service runs on it."""
    backups.restore(file, force, data=data, database_url=database_url)


@app.command("record")
def rebuild_record(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Remove it and write it anew")],
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Build Optuna's record of all studies anew from the store, whether a service runs or not."""
    if not rebuild:
        raise typer.BadParameter("there is nothing else to do with the record", param_hint="--rebuild")
    record.rebuild(data=data, database_url=database_url)


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whom it is for")],
    scope: Annotated[ScopeName, typer.Option(help="What it may do; each includes those before it")] = "read",
    days: Annotated[float | None, typer.Option(min=0, help="How long it is valid; default: until revoked")] = None,
    if_none: Annotated[bool, typer.Option("--if-none", help="Only if there is no valid one")] = False,
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Make a token and print it, this once."""
    from service.cli import tokens

    tokens.create(name, scope, days, if_none, data=data, database_url=database_url)


@token.command("list")
def list_tokens(as_json: AsJson = False, data: Data = None, database_url: Database = None) -> None:
    """List the tokens, without their secrets, which are kept nowhere."""
    from service.cli import tokens

    tokens.show(as_json, data=data, database_url=database_url)


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="Its id: the eight characters behind gb_")],
    data: Data = None,
    database_url: Database = None,
) -> None:
    """End a token and every login with it, at once."""
    from service.cli import tokens

    tokens.revoke(token_id, data=data, database_url=database_url)


def main() -> None:
    """The command's entry: our errors are a line on standard error and an exit code, never a traceback."""
    try:
        app()
    except GoldenbenchError as error:
        print(f"goldenbench: {error}", file=sys.stderr)
        for broken in getattr(error, "errors", []):
            print(f"  {broken['field']}: {broken['rule']}", file=sys.stderr)
        sys.exit(4 if isinstance(error, Unreachable) else 1)
