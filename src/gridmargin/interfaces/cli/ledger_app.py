"""`gridmargin ledger …`: commands and their options; each hands over to a module that is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridmargin.interfaces.cli.options import (
    DataDirOption,
    EndOption,
    EndOrHourOption,
    JsonOption,
    LedgerOption,
    SourceOption,
    StartOption,
    ZoneArgument,
    emit,
)
from gridmargin.vocab import parse_utc

ledger_app = typer.Typer(help="The append-only book of factors.", no_args_is_help=True)


@ledger_app.command("show")
def ledger_show(
    zone: ZoneArgument,
    start: StartOption,
    end: EndOrHourOption = None,
    estimator: Annotated[str, typer.Option(help="Whose entries.")] = "regression",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the entries that cover a stretch of time, as known now."""
    from gridmargin.interfaces.cli import grid_commands

    emit(
        grid_commands.ledger(zone, start, end, estimator, None, data_dir, ledger),
        grid_commands.show_ledger,
        as_json,
    )


@ledger_app.command("as-of")
def ledger_as_of(
    zone: ZoneArgument,
    known: Annotated[
        str, typer.Argument(help="The moment of knowledge, ISO 8601 with offset.", metavar="KNOWN")
    ],
    start: StartOption,
    end: EndOrHourOption = None,
    estimator: Annotated[str, typer.Option(help="Whose entries.")] = "regression",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the entries that cover a stretch of time, as known at an earlier moment."""
    from gridmargin.interfaces.cli import grid_commands

    known_utc = parse_utc(known, "KNOWN")
    emit(
        grid_commands.ledger(zone, start, end, estimator, known_utc, data_dir, ledger),
        grid_commands.show_ledger,
        as_json,
    )


@ledger_app.command("refresh")
def ledger_refresh(
    zone: ZoneArgument,
    start: StartOption,
    end: EndOrHourOption = None,
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the source again and append what came out different; what stood before stays, as known then."""
    from gridmargin.interfaces.cli import grid_commands

    emit(
        grid_commands.refresh(zone, start, end, source, data_dir, ledger), grid_commands.show_refresh, as_json
    )


@ledger_app.command("forecasts")
def ledger_forecasts(
    zone: ZoneArgument,
    issued_from: Annotated[str, typer.Option(help="First issue time, ISO 8601 with offset.", metavar="TIME")],
    issued_to: Annotated[
        str | None,
        typer.Option(
            help="First issue time outside; one hour after --issued-from if absent.", metavar="TIME"
        ),
    ] = None,
    estimator: Annotated[str | None, typer.Option(help="Only this estimator's forecasts.")] = None,
    against: Annotated[
        str, typer.Option(help="What was observed: an estimator's entries, or `published`.")
    ] = "regression",
    source: SourceOption = "auto",
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show forecasts as they were issued, beside what was later observed, with the error."""
    from gridmargin.interfaces.cli import forecast_commands

    answer = forecast_commands.forecasts(
        zone, issued_from=issued_from, issued_to=issued_to, estimator=estimator, against=against, source=source,
        data_dir=data_dir, ledger=ledger,
    )  # fmt: skip
    emit(answer, forecast_commands.show_forecasts, as_json)


@ledger_app.command("disagree")
def ledger_disagree(
    zone: ZoneArgument,
    start: StartOption,
    end: EndOption,
    other: Annotated[
        str | None,
        typer.Option("--with", help="Another zone: who calls which of the two the higher.", metavar="ZONE2"),
    ] = None,
    signals: Annotated[
        list[str] | None,
        typer.Option(
            help="A table of yours, with `time_utc` and `rate_kg_per_kwh`; KIND is marginal or average. Repeats.",
            metavar="NAME:KIND:FILE",
        ),
    ] = None,
    signals_with: Annotated[
        list[str] | None, typer.Option(help="The same for the other zone.", metavar="NAME:KIND:FILE")
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold our estimators, the published rate and third-party signals side by side: the band, pairs, rankings."""
    from gridmargin.interfaces.cli import ledger_commands

    answer = ledger_commands.disagree(
        zone, start, end, other, signals or [], signals_with or [], data_dir, ledger
    )
    emit(answer, ledger_commands.show_disagreement, as_json)


@ledger_app.command("diff")
def ledger_diff(
    since: Annotated[str, typer.Option(help="What was known when, ISO 8601 with offset.", metavar="TIME")],
    zone: Annotated[str | None, typer.Option(help="Only this zone.", metavar="ZONE")] = None,
    limit: Annotated[
        int, typer.Option(help="Restated entries looked at in one page.", min=1, max=100_000, metavar="N")
    ] = 1_000,
    cursor: Annotated[
        str | None, typer.Option(help="Where the page before stopped, as it says.", metavar="CURSOR")
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the ledger says differently now from what it said at a moment, and why."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(
        ledger_commands.diff(since, zone, limit, cursor, data_dir, ledger), ledger_commands.show_diff, as_json
    )


@ledger_app.command("export")
def ledger_export(
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .parquet, .csv or .json; a manifest goes beside it.", metavar="FILE"
        ),
    ],
    zone: Annotated[str | None, typer.Option(help="Only entries of this zone.", metavar="ZONE")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Only intervals from here, ISO 8601 with offset; with --end.", metavar="TIME"),
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="First moment outside; with --start.", metavar="TIME")
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Take what can still be read from a damaged ledger.")
    ] = False,
    seen_size: Annotated[
        int | None,
        typer.Option(
            help="How many leaves the auditor saw last: the manifest proves that the log begins with them.",
            min=1,
            metavar="N",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write entries with their places in the log and a signed manifest, for somebody to check without us."""
    from gridmargin.interfaces.cli import ledger_commands

    answer = ledger_commands.export_to(
        out, zone, start, end, data_dir, ledger, salvage=salvage, seen_size=seen_size, quiet=as_json
    )
    emit(answer, ledger_commands.show_export, as_json)


@ledger_app.command("retire")
def ledger_retire(
    before: Annotated[
        str, typer.Option(help="First interval that stays, ISO 8601 with offset.", metavar="TIME")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File for what is retired: .parquet, .csv or .json; a manifest goes beside it.",
            metavar="FILE",
        ),
    ],
    zone: Annotated[str | None, typer.Option(help="Only entries of this zone.", metavar="ZONE")] = None,
    keep_days: Annotated[
        int, typer.Option(help="Newest days of which nothing is retired.", min=0, metavar="N")
    ] = 35,
    compact: Annotated[
        bool, typer.Option("--compact", help="Give the room back to the disk; writers wait meanwhile.")
    ] = False,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move old entries into a signed file that passes its audit; the log keeps their leaves, so every proof still holds."""
    from gridmargin.interfaces.cli import ledger_commands

    answer = ledger_commands.retire_to(
        before, out, zone, keep_days, data_dir, ledger, compact=compact, quiet=as_json
    )
    emit(answer, ledger_commands.show_retire, as_json)


@ledger_app.command("restore")
def ledger_restore(
    file: Annotated[
        Path,
        typer.Argument(help="A file that `ledger retire` wrote, its manifest beside it.", metavar="FILE"),
    ],
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put retired entries back from their file, after each was checked against its leaf in the log."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(ledger_commands.restore_from(file, data_dir, ledger), ledger_commands.show_restore, as_json)


@ledger_app.command("copy")
def ledger_copy(
    old: Annotated[
        str, typer.Argument(help="The ledger: a file, or postgresql://USER@HOST/DATABASE.", metavar="FROM")
    ],
    new: Annotated[
        str, typer.Argument(help="Where it goes: a file, or a database, with no ledger yet.", metavar="TO")
    ],
    as_json: JsonOption = False,
) -> None:
    """Copy a ledger to another place, row for row, and prove that it is the same: same leaves, root and heads."""
    from gridmargin.interfaces.cli import move_commands

    emit(move_commands.copy_to(old, new, quiet=as_json), move_commands.show_copy, as_json)


@ledger_app.command("clock")
def ledger_clock(
    correct: Annotated[
        str | None,
        typer.Option(
            help="Write down that a clock ran ahead and is right now, and what happened to it.",
            metavar="NOTE",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how recorded times stand to the clock, or correct them from here on after a clock ran ahead."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(ledger_commands.clock(correct, data_dir, ledger), ledger_commands.show_clock, as_json)


@ledger_app.command("witness")
def ledger_witness(
    origin: Annotated[
        str,
        typer.Argument(help="The server of the ledger, http(s)://HOST, or an export of it.", metavar="FROM"),
    ],
    key: Annotated[
        Path, typer.Option(help="The witness's own private key; made where absent.", metavar="FILE")
    ],
    public_key: Annotated[
        str, typer.Option(help="The ledger's public key, or a file that holds it.", metavar="KEY")
    ],
    out: Annotated[Path, typer.Option(help="File for the cosigned head.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option(help="What the witness signs as, the same each time.", metavar="NAME")
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            help="File that remembers the head signed last, instead of the usual place.", metavar="FILE"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign, as somebody else, that a ledger's log begins with all that was seen of it before; exit code 1 if it does not."""
    from gridmargin.interfaces.cli import witness_commands

    answer = witness_commands.witness(origin, key, public_key, out, name, seen)
    emit(answer, witness_commands.show_witness, as_json)
    if answer["faults"]:
        raise typer.Exit(1)


@ledger_app.command("cosigned")
def ledger_cosigned(
    file: Annotated[Path, typer.Argument(help="What `ledger witness` wrote.", metavar="FILE")],
    witness: Annotated[
        str, typer.Option(help="The witness's public key, or a file that holds it.", metavar="KEY")
    ],
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a witness's signature of a head, so that exports hand it on."""
    from gridmargin.interfaces.cli import witness_commands

    emit(witness_commands.keep(file, witness, data_dir, ledger), witness_commands.show_kept, as_json)


@ledger_app.command("verify")
def ledger_verify(
    export: Annotated[
        Path | None,
        typer.Option(help="A file that `ledger export` wrote; the ledger itself if absent.", metavar="FILE"),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            help="The ledger's public key, or a file that holds it; needed with --export.", metavar="KEY"
        ),
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            help="File that remembers the newest head seen, instead of the usual place.", metavar="FILE"
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            help="Key of a witness who must have cosigned a head, or a file that holds it. Repeats.",
            metavar="KEY",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check an export with the public key alone, or the ledger in its database; exit code 1 if anything is wrong."""
    from gridmargin.interfaces.cli import ledger_commands

    answer = ledger_commands.verify(export, public_key, seen, witness or [], data_dir, ledger)
    emit(answer, ledger_commands.show_verify, as_json)
    if not answer["holds"]:
        raise typer.Exit(1)


@ledger_app.command("head")
def ledger_head(
    data_dir: DataDirOption = None, ledger: LedgerOption = None, as_json: JsonOption = False
) -> None:
    """Print the signed head of the log: its size and root under the ledger's name."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(ledger_commands.head(data_dir, ledger), ledger_commands.show_head, as_json)


@ledger_app.command("key")
def ledger_key(
    data_dir: DataDirOption = None, ledger: LedgerOption = None, as_json: JsonOption = False
) -> None:
    """Print the public key that checks this ledger; hand it over by another way than its exports."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(ledger_commands.key(data_dir, ledger), lambda answer: typer.echo(answer["public_key"]), as_json)


@ledger_app.command("prove")
def ledger_prove(
    kind: Annotated[
        str,
        typer.Argument(
            help="marginal, average, recalibration, declaration, retirement, payload, correction or restoration.",
            metavar="KIND",
        ),
    ],
    record_id: Annotated[int, typer.Argument(help="Its id, as `ledger show` prints it.", metavar="ID")],
    data_dir: DataDirOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that one record stands in the log: its leaf, the audit path and the signed head (RFC 6962)."""
    from gridmargin.interfaces.cli import ledger_commands

    emit(ledger_commands.prove(kind, record_id, data_dir, ledger), ledger_commands.show_proof, as_json)
