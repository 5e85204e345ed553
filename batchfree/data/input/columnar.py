"""Parquet and Arrow files, local or remote. Polars scans them; the check before a run reads only their schemas."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from batchfree.core.errors import Mistake
from batchfree.data.input.survey import Findings, Places, Survey


def scan(path: str, form: str) -> pl.LazyFrame:
    """The rows of one file; `form` is `parquet` or `arrow`."""
    if form == "parquet":
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)
    return pl.scan_ipc(path, glob=False, hive_partitioning=False)


def survey(paths: Sequence[str], form: str) -> Survey:
    """The columns of all files, from their schemas, and their numbers of rows. Mistakes are in the survey."""
    columns: dict[str, pl.DataType] = {}
    first: dict[str, str] = {}
    findings, places = Findings(), Places()
    for path in paths:
        places.begin(path)
        try:
            schema = scan(path, form).collect_schema()
            places.add_rows(scan(path, form).select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            findings.add(Mistake(message=f"can't be read as {form}: {reason}", file=path))
            continue
        for name, dtype in schema.items():
            known = columns.get(name)
            if known is None or isinstance(known, pl.Null):
                columns[name], first[name] = dtype, path
            elif known != dtype and not isinstance(dtype, pl.Null):
                message = f"{dtype} here, but {known} in {first[name]}"
                findings.add(Mistake(message=message, file=path, key=name))
    return Survey(schema=pl.Schema(columns), places=places, mistakes=findings.list())


def frame(paths: Sequence[str], form: str, found: Survey) -> pl.LazyFrame:
    """The rows of all files in order, with the columns of all files."""
    return pl.concat([scan(path, form) for path in paths], how="diagonal").select(*found.schema)
