"""Commands and their options; each hands over to a module that is imported when it runs."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gridmargin.interfaces.cli.ledger_app import ledger_app
from gridmargin.interfaces.cli.options import (
    DataDirOption,
    EndOption,
    GeojsonOption,
    JsonOption,
    LedgerOption,
    PlacesOption,
    SourceOption,
    StartOption,
    WorkloadOption,
    ZoneArgument,
    emit,
    option_text,
)
from gridmargin.interfaces.failures import MENDABLE, error_answer, spelled, told
from gridmargin.vocab import GridmarginError

# The parser's own class for a command line that cannot be read; typer shows only its subclass.
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="gridmargin",
    help="What each AI inference did to the power grid: the plant on the margin, the joules, the grams, and how sure.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(ledger_app, name="ledger")
export_app = typer.Typer(help="Signals in the format of another system.", no_args_is_help=True)
app.add_typer(export_app, name="export")
archive_app = typer.Typer(help="The raw payloads, named by their hashes.", no_args_is_help=True)
app.add_typer(archive_app, name="archive")
zones_app = typer.Typer(help="The zones we know, and which one a place lies in.", invoke_without_command=True)
app.add_typer(zones_app, name="zones")


class OnGap(StrEnum):
    """What to do with an interval that has no factor (C8)."""

    REFUSE = "refuse"
    NEAREST = "nearest"


class FactorKind(StrEnum):
    """Which factor; the two never mix (C3)."""

    MARGINAL = "marginal"
    AVERAGE = "average"


class GridChange(StrEnum):
    """What can be declared; the ledger's own list, held against it by a test, is loaded with the command."""

    FLEET = "fleet"
    FUEL_PRICE = "fuel-price"
    MARKET_RULE = "market-rule"


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("gridmargin"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@zones_app.callback()
def zones(
    context: typer.Context,
    source: SourceOption = "auto",
    every: Annotated[
        bool, typer.Option("--all", help="Those without data too; --json has them all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the zones we know, and what the source has for each."""
    if context.invoked_subcommand is not None:
        return
    from gridmargin.interfaces.cli import grid_commands

    emit(grid_commands.zones(source), partial(grid_commands.show_zones, every=every), as_json)


# A point south of the equator begins with a minus, as an option does.
@zones_app.command("where", context_settings={"ignore_unknown_options": True})
def zones_where(
    place: Annotated[
        str,
        typer.Argument(
            help="aws:us-east-1, azure:eastus, gcp:us-central1, eia:ERCO, wt:…, em:…, eic:…, a zone, LAT,LON, or a declared"
            " data centre.",
            metavar="PLACE",
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(help="Moment that overrides are read at; now if absent.", metavar="TIME"),
    ] = None,
    workload: WorkloadOption = None,
    places: PlacesOption = None,
    geojson: GeojsonOption = None,
    source: SourceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Say which zone a place lies in, which rule decided, how sure that is, and what else it may be."""
    from gridmargin.interfaces.cli import grid_commands

    emit(grid_commands.where(place, at, workload, source, places, geojson), grid_commands.show_where, as_json)


@app.command()
def now(
    zone: ZoneArgument,
    at: Annotated[
        str | None, typer.Option(help="A moment other than now, ISO 8601 with offset.", metavar="TIME")
    ] = None,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            help="One more to ask, such as blend or regression+storage+imports; may be given again.",
            metavar="NAME",
        ),
    ] = None,
    workload: WorkloadOption = None,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is on the margin: factor with range, the plants behind it, the average apart."""
    from gridmargin.interfaces.cli import grid_commands

    answer = grid_commands.now(zone, at, source, data_dir, ledger, estimator or (), workload)
    emit(answer, grid_commands.show_now, as_json)


@app.command()
def sources(
    check: Annotated[
        bool,
        typer.Option("--check", help="Read every archived payload again and compare with what was noted."),
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of every live source how fresh it is, or how it is turned on."""
    from gridmargin.interfaces.cli import source_commands

    answer = source_commands.sources(data_dir, check=check)
    emit(answer, source_commands.show_sources, as_json)
    if answer["n_faults"]:
        raise typer.Exit(1)


@app.command()
def meters(as_json: JsonOption = False) -> None:
    """Say which instruments this machine has, what each tells, and what is missing and why."""
    from gridmargin.interfaces.cli import meters_command

    emit(meters_command.meters(), meters_command.show_meters, as_json)


@app.command()
def record(
    instrument: Annotated[str, typer.Argument(help="As `gridmargin meters` lists it.", metavar="INSTRUMENT")],
    out: Annotated[Path, typer.Option(help="Trace to write, .csv or .parquet.", metavar="FILE")],
    seconds: Annotated[
        float, typer.Option("--for", help="How long, in seconds; Ctrl-C ends it sooner.", min=0.1)
    ] = 3600.0,
    every: Annotated[
        float | None, typer.Option(help="Sampling period in seconds; the instrument's own unless said.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sample an instrument of this machine into a trace that `account --meter` reads."""
    from gridmargin.interfaces.cli import record_command

    emit(record_command.record(instrument, out, seconds, every), record_command.show_record, as_json)


@archive_app.command("prune")
def archive_prune(
    before: Annotated[
        str,
        typer.Option(
            help="Only payloads that came before and state nothing later, ISO 8601 with offset.",
            metavar="TIME",
        ),
    ],
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them; without it they are only counted.")
    ] = False,
    keep_days: Annotated[
        int, typer.Option(help="Newest days of which nothing is removed.", min=0, metavar="N")
    ] = 35,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which old payloads no standing ledger entry and no fit in use rests on, and remove them where told to."""
    from gridmargin.interfaces.cli import source_commands

    answer = source_commands.prune_archive(before, keep_days, data_dir, ledger, remove=remove, quiet=as_json)
    emit(answer, source_commands.show_prune, as_json)


@app.command()
def fetch(
    zone: ZoneArgument,
    days: Annotated[int, typer.Option(help="How many days back; 0 asks for the newest.", min=0, max=400)] = 0,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the publishers of a zone, keep what they answer, and let revisions supersede."""
    from gridmargin.interfaces.cli import source_commands

    emit(source_commands.fetch(zone, days, data_dir), source_commands.show_fetch, as_json)


@app.command()
def quality(
    zone: ZoneArgument,
    start: StartOption,
    end: EndOption,
    source: SourceOption = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Write the report as JSON here too.", metavar="FILE")
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how good a zone's data are: what is absent, what is suspect and why, and whether it adds up."""
    from gridmargin.interfaces.cli import quality_command

    answer = quality_command.quality(zone, start, end, source, out, data_dir, ledger)
    emit(answer, quality_command.show_quality, as_json)


@app.command()
def forecast(
    zone: ZoneArgument,
    at: Annotated[
        str | None,
        typer.Option(help="When it is issued, ISO 8601 with offset; now if absent.", metavar="TIME"),
    ] = None,
    hours: Annotated[int, typer.Option(help="How far ahead, 1 to 72 hours.")] = 24,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast the factor from what is known at a moment, with ranges, and keep the issue in the ledger."""
    from gridmargin.interfaces.cli import forecast_commands

    emit(
        forecast_commands.forecast(zone, at, hours, source, data_dir, ledger),
        forecast_commands.show_forecast,
        as_json,
    )


@app.command("long-run")
def long_run(
    zone: ZoneArgument,
    year: Annotated[
        int | None, typer.Option(help="Plants built later are not seen; the list's newest if absent.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Of the combined margin: first_period, later_period or wind_solar.")
    ] = "first_period",
    fleet: Annotated[
        Path | None,
        typer.Option(help="List of plants as CSV, instead of the source's own.", metavar="FILE"),
    ] = None,
    rates: Annotated[
        Path | None, typer.Option(help="Table of published long-run rates as CSV.", metavar="FILE")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="With --rates: the table's name for the zone, if another.")
    ] = None,
    start_year: Annotated[
        int | None, typer.Option(help="With --rates: first year that it holds for.")
    ] = None,
    years: Annotated[int | None, typer.Option(help="With --rates: for how many years.")] = None,
    scenario: Annotated[
        str | None, typer.Option(help="With --rates: which, where there are several.")
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(help="With --rates: half-width of the range, 0 to 1, where the table has none."),
    ] = None,
    source: SourceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Say what load that stays gets built: operating, build and combined margin, or a published rate."""
    from gridmargin.interfaces.cli import long_run_command

    answer = long_run_command.long_run(
        zone, year=year, weights=weights, fleet=fleet, rates=rates, region=region, start_year=start_year, years=years,
        scenario=scenario, spread=spread, source=source,
    )  # fmt: skip
    emit(answer, long_run_command.show_long_run, as_json)


@app.command()
def recalibrate(
    zone: Annotated[
        str | None,
        typer.Argument(
            help="Zone id; every zone in the ledger that the source has, if absent.", metavar="ZONE"
        ),
    ] = None,
    estimator: Annotated[
        str | None, typer.Option(help="Only this estimator; each with marginal entries if absent.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="Reference: auto, published, later, or another estimator.")
    ] = "auto",
    start: Annotated[
        str | None, typer.Option("--from", help="First moment to check; with --to.", metavar="TIME")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="First moment after the checked stretch.", metavar="TIME")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fit again without drift; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, with --force; recorded.", metavar="TEXT")] = None,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for drift; where there is some, fit again, record what changed and why, and supersede."""
    from gridmargin.interfaces.cli import recalibrate_commands

    answer = recalibrate_commands.recalibrated(
        zone, estimator=estimator, against=against, start=start, end=end, force=force, reason=reason, source=source,
        data_dir=data_dir, ledger=ledger,
    )  # fmt: skip
    emit(answer, recalibrate_commands.show_recalibrated, as_json)


@app.command()
def declare(
    zone: ZoneArgument,
    what: Annotated[GridChange, typer.Option(help="What changed.")],
    since: Annotated[str, typer.Option("--from", help="When, ISO 8601 with offset.", metavar="TIME")],
    note: Annotated[str, typer.Option(help="What happened, and where it is written.", metavar="TEXT")],
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Declare a change of the grid: fits after it leave out or down-weight what was before."""
    from gridmargin.interfaces.cli import recalibrate_commands

    answer = recalibrate_commands.declare(zone, what.value, since, note, data_dir, ledger)
    emit(answer, recalibrate_commands.show_declared, as_json)


@app.command()
def account(
    requests: Annotated[Path, typer.Argument(help="Request log: Parquet, CSV or JSONL.", metavar="REQUESTS")],
    zone: Annotated[
        str, typer.Option(help="Zone whose grid served it, or a place in it: aws:us-east-1, a data centre.")
    ],
    device: Annotated[str, typer.Option(help="Accelerator, such as H100; an unknown name lists them.")],
    model: Annotated[str, typer.Option(help="Model, such as llama-3.1-8b.")],
    out: Annotated[Path, typer.Option(help="Folder for the receipts and the summary.", metavar="DIR")],
    align_to: Annotated[
        str | None,
        typer.Option(
            help="Shift the log so that its first arrival falls here; stamped on every receipt.",
            metavar="TIME",
        ),
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="Whose marginal factor prices the energy; regression+storage and blend too.")
    ] = "regression",
    devices: Annotated[
        int, typer.Option(help="How many devices share the log, round-robin.", min=1, max=4096)
    ] = 1,
    max_batch: Annotated[int, typer.Option(help="Most requests a device runs at once.", min=1)] = 256,
    site: Annotated[
        str | None,
        typer.Option(
            help="Kind of site, for PUE; an unknown name lists them. Hyperscale unless a data centre says."
        ),
    ] = None,
    workload: WorkloadOption = None,
    places: PlacesOption = None,
    geojson: GeojsonOption = None,
    steps: Annotated[
        Path | None,
        typer.Option(help="Engine steps, Parquet or JSON lines, in place of a replay.", metavar="FILE"),
    ] = None,
    meter: Annotated[
        Path | None,
        typer.Option(help="Trace of the devices' meter, CSV or Parquet; wants --steps.", metavar="FILE"),
    ] = None,
    meter_every: Annotated[
        float | None, typer.Option(help="How often the meter was sampled, in seconds.", metavar="S")
    ] = None,
    meter_modulus: Annotated[
        float | None, typer.Option(help="Where its counter starts again from 0, in joules.", metavar="J")
    ] = None,
    meter_most: Annotated[
        float | None,
        typer.Option(help="What the device cannot exceed, in watts; tells a wrap from a reset.", metavar="W"),
    ] = None,
    meter_field: Annotated[
        str | None,
        typer.Option(
            help="What a trace of power was read from, such as power.draw.instant: corrects it by the sensor of --device.",
            metavar="FIELD",
        ),
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option(
            help="Part of a metered board and its share, such as GPU-0/MIG-1=3/7; may repeat.",
            metavar="NAME=SHARE",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="How steps are shared; an unknown name lists the rules. Shapley unless said."),
    ] = None,
    charge: Annotated[
        str,
        typer.Option(help="What is charged: own, step, loaded or provisioned, each with those before it."),
    ] = "loaded",
    on_gap: Annotated[
        OnGap, typer.Option(help="An interval with no factor: refuse, or fill from the nearest and mark it.")
    ] = OnGap.REFUSE,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Price a request log: joules and grams for every request, with ranges."""
    from gridmargin.interfaces.cli import account_commands

    answer = account_commands.account(
        requests=requests, zone=zone, device=device, model=model, out=out, align_to=align_to, estimator=estimator,
        n_devices=devices, max_batch=max_batch, site=site, fill_gaps=on_gap is OnGap.NEAREST, source=source,
        data_dir=data_dir, ledger=ledger, quiet=as_json, workload=workload, places=places, geojson=geojson,
        steps=steps, meter=meter, meter_every_s=meter_every, meter_modulus_j=meter_modulus, meter_most_w=meter_most,
        rule=rule, meter_field=meter_field, charge=charge, instances=tuple(instance or ()),
    )  # fmt: skip
    emit(answer, account_commands.show_account, as_json)


@app.command()
def steps(
    files: Annotated[
        list[Path],
        typer.Argument(help="What one process of the engine wrote, in order of time.", metavar="FILE…"),
    ],
    engine: Annotated[
        str, typer.Option(help="Whose words they are, such as vllm_metrics; an unknown name lists them.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Where the steps go, .parquet or .jsonl; `account --steps` reads it.", metavar="FILE"
        ),
    ],
    devices: Annotated[
        list[str] | None,
        typer.Option(
            help="Devices that step together, such as gpu0,gpu1; once for each engine, in their order.",
            metavar="NAMES",
        ),
    ] = None,
    ahead_s: Annotated[
        float,
        typer.Option(
            "--ahead", help="By how much the engine's clock is ahead of the meter's, in seconds.", metavar="S"
        ),
    ] = 0.0,
    request_id: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose group is the id that your log has: 'cmpl-(.*)-0-[0-9a-f]{8}'.",
            metavar="PATTERN",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn what a serving engine recorded into a file of its steps, and say what it does not tell."""
    from gridmargin.interfaces.cli import steps_command

    answer = steps_command.steps(files, engine, out, devices or (), ahead_s, request_id)
    emit(answer, steps_command.show_steps, as_json)


@app.command()
def explain(
    receipt: Annotated[
        str,
        typer.Argument(help="Receipt id, as printed by `account` or shown on the page.", metavar="RECEIPT"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder that `account --out` wrote.", metavar="DIR")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Learn each fit again from the archived payloads, too.")
    ] = False,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trace a receipt to the raw table cells and back; exit code 1 if its arithmetic does not close."""
    from gridmargin.interfaces.cli import account_commands

    answer = account_commands.explain(receipt, out, data_dir, ledger, source if refit else None)
    emit(answer, account_commands.show_explain, as_json)
    if not answer["closes"]:
        raise typer.Exit(1)


@app.command()
def backtest(
    task: Annotated[
        str, typer.Argument(help="Which comparison; an unknown name lists them.", metavar="TASK")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the task's tables; GRIDMARGIN_DATA unless said.", metavar="DIR"),
    ] = None,
    avert: Annotated[
        Path | None, typer.Option(help="Folder with EPA's AVERT tables, if elsewhere.", metavar="DIR")
    ] = None,
    train_year: Annotated[int | None, typer.Option(help="Newest year that fits may see.")] = None,
    test_year: Annotated[int | None, typer.Option(help="Year to score.")] = None,
    test_from: Annotated[str | None, typer.Option(help="First moment to score.", metavar="TIME")] = None,
    test_to: Annotated[
        str | None, typer.Option(help="First moment after the scored period.", metavar="TIME")
    ] = None,
    horizon_min: Annotated[
        int | None, typer.Option(help="Minutes before its interval that an estimate must stand.", min=0)
    ] = None,
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    train_s: Annotated[
        float | None, typer.Option(help="Second of a recorded run at which the fit ends.", min=0)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the result as JSON here too.", metavar="FILE")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score the estimators against a reference, beside the naive baselines."""
    from gridmargin.interfaces.cli import backtest_commands

    result = backtest_commands.backtest(
        task, data, avert=avert, train_year=train_year, test_year=test_year, test_from=test_from, test_to=test_to,
        horizon_min=horizon_min, region=region, train_s=train_s, out=out,
    )  # fmt: skip
    emit(result, backtest_commands.show_backtest, as_json)


@export_app.command("keda")
def export_keda(
    zone: ZoneArgument,
    hours: Annotated[int, typer.Option(help="How far ahead.", min=1, max=72)] = 24,
    factor: Annotated[FactorKind, typer.Option(help="Which factor.")] = FactorKind.MARGINAL,
    location: Annotated[
        str | None, typer.Option(help="What the records call the place; the zone id if absent.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the ConfigMap.")] = "carbon-intensity",
    namespace: Annotated[str, typer.Option(help="Its namespace.")] = "kube-system",
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a forecast as the ConfigMap that the carbon-aware KEDA operator reads, for `kubectl apply -f -`."""
    from gridmargin.interfaces.cli import export_commands

    answer = export_commands.keda(
        zone, hours=hours, kind=factor.value, location=location, name=name, namespace=namespace, source=source,
        data_dir=data_dir, ledger=ledger,
    )  # fmt: skip
    emit(answer, export_commands.show, as_json)


@app.command()
def up(
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs GRIDMARGIN_API_KEY.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8340,
    zone: Annotated[
        str | None, typer.Option(help="Zone that the page opens on and the stream runs in.")
    ] = None,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    stream: Annotated[bool, typer.Option(help="Replay a synthetic request stream, marked as such.")] = True,
) -> None:
    """Serve the page and the REST API on one port."""
    from gridmargin.interfaces.cli import up_command

    up_command.up(
        host=host, port=port, zone=zone, source=source, data_dir=data_dir, ledger=ledger, stream=stream
    )


def main() -> None:
    """Run the command line: what the user can mend ends in one message and exit code 2, a defect of ours in 70."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)  # to be told to end is to be stopped: nothing half-written stays
    try:
        code = typer.main.get_command(app).main(prog_name="gridmargin", standalone_mode=False)
    except _UsageError as error:
        _fail(MENDABLE, "Usage", _usage_message(error))
    except typer.Abort as abort:
        # The parser turns a file that ends too early into this.
        if isinstance(abort.__cause__, EOFError):
            _fail(*told(abort.__cause__))
        _fail(MENDABLE, "Aborted", "stopped before it was done; start it again")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if _was_interrupted(error):
            code = 130
        elif _debugging():
            raise
        else:
            _fail(*told(error))
    if code == 130:
        typer.echo("gridmargin: stopped", err=True)
    sys.exit(code if isinstance(code, int) else 0)


def _was_interrupted(error: BaseException) -> bool:
    """Say whether Ctrl-C came while the query engine ran, which makes an error of its own of it."""
    return isinstance(error, RuntimeError) and "interrupted" in str(error).lower()


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _usage_message(error: Any) -> str:
    message: str = error.format_message().rstrip()
    context = error.ctx
    # Asked for nothing, the parser answers with the whole help, which needs no way out.
    if context is None or "\n" in message:
        return message
    return f"{message.rstrip('.')}; see `{context.command_path} --help`"


def with_options(message: str) -> str:
    """Write the parameters that a message names as options."""
    return spelled(message, lambda name, value: option_text(typer.main.get_command(app), name, value))


def _fail(code: int, name: str, message: str) -> NoReturn:
    message = with_options(message)
    if "--json" in sys.argv:
        typer.echo(json.dumps(error_answer(name, message), ensure_ascii=False), err=True)
    else:
        typer.echo(message if "\n" in message else f"gridmargin: {message}", err=True)
    sys.exit(code)


def _debugging() -> bool:
    from gridmargin.wiring import read_settings

    try:
        return read_settings().debug
    except GridmarginError:
        return False
