"""The catalog: the loaders that are tried out, and those that were looked at and are not."""

from __future__ import annotations

from tools.loaders.destinations import (
    SCHEMA,
    csv_files,
    json_lines,
    own_python,
    parquet_files,
    postgres_table,
    singer_files,
    singer_lines,
    sqlite,
)
from tools.loaders.loader import STREAMS, LeftOut, Loader

_ROWS_OF_DUCKDB = """\
import duckdb
connection = duckdb.connect(path, read_only=True)
found = connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = ?", [stream]).fetchall()
answer = connection.table(f"tap_connector_logs.{stream}") if found else None
names = answer.columns if found else []
rows = [dict(zip(names, row)) for row in answer.fetchall()] if found else []
print(json.dumps(rows, default=lambda value: value.isoformat()))
"""

_ROWS_OF_AVRO = """\
import fastavro
with open(path, "rb") as file:
    print(json.dumps(list(fastavro.reader(file)), default=lambda value: value.isoformat()))
"""

# Some tell their makers of each run, unless they are told not to.
_QUIET = {"disable_collection": True}

# For loaders that know no objects, or that can't write the times that they have read.
_EXTRA_AS_TEXT = {stream: {"extra": "json.dumps(extra) if extra else None"} for stream in STREAMS}
_NOTHING_BUT_TEXT = {
    "connector_logs": _EXTRA_AS_TEXT["connector_logs"] | {"log_time": "str(log_time) if log_time else None"},
    "connectors": _EXTRA_AS_TEXT["connectors"]
    | {
        "created_at": "str(created_at) if created_at else None",
        "updated_at": "str(updated_at) if updated_at else None",
    },
}

_BATCHES = {"batch_size_rows": 10_000}

_DUCKDB = {"filepath": "output/connector_logs.duckdb", "default_target_schema": SCHEMA, "add_metadata_columns": True}
_UNIVERSAL = {"protocol": "local", "path": "output"}
_UNIVERSAL_APART = {"protocol": "local", "path": "output/{run}"}
_POSTGRES = {"default_target_schema": SCHEMA}

# PostgreSQL holds no NUL: it becomes U+FFFD. In a key, a digest behind it keeps two of them apart. In the JSON of an
# object, a backslash is written in a way first that can't be taken for the beginning of a NUL.
_KEY = r"self.replace('\x00', '\ufffd') + '-' + md5(self) if '\x00' in self else self"
_TEXT = r"self.replace('\x00', '\ufffd') if self else self"
_OBJECT = (
    r"json.loads(json.dumps(self, default=float).replace('\\\\', '\\u005c').replace('\\u0000', '\\ufffd')) "
    r"if '\\x00' in str(self) else self"
)
_NO_NUL = {
    "connector_logs": {
        "connector_identifier": _KEY,
        "id": _KEY,
        "event": _TEXT,
        "request": _TEXT,
        "request_id": _TEXT,
        "extra": _OBJECT,
    },
    "connectors": {
        "connector_identifier": _KEY,
        "name": _TEXT,
        "description": _TEXT,
        "logo_url": _TEXT,
        "extra": _OBJECT,
    },
}
_SERVER = {name: name for name in ("host", "port", "user", "password")}

LOADERS: tuple[Loader, ...] = (
    Loader(
        name="target-jsonl",
        executable="target-jsonl",
        requirements=("target-jsonl==0.1.4",),
        destination="JSON lines",
        config={"destination_path": "output", "do_timestamp_file": False},
        read=json_lines("output/{stream}*.jsonl"),
    ),
    Loader(
        name="target-duckdb",
        executable="target-duckdb",
        requirements=("target-duckdb==0.8.0", "duckdb<1.3"),
        beside=("duckdb",),
        destination="DuckDB",
        config=_DUCKDB,
        trial=_BATCHES,
        read=own_python(_ROWS_OF_DUCKDB, "output/*.duckdb"),
        advice="`duckdb<1.3` beside it; `add_metadata_columns: true`, so that no first record is taken for a header",
        way_out="read an empty text and a null alike",
    ),
    Loader(
        name="target-duckdb, as it comes",
        executable="target-duckdb",
        requirements=("target-duckdb==0.8.0",),
        beside=("duckdb",),
        destination="DuckDB",
        config=_DUCKDB,
        trial=_BATCHES,
        read=own_python(_ROWS_OF_DUCKDB, "output/*.duckdb"),
        way_out="`duckdb<1.3` beside it: what a newer one takes for a header is the first record of each batch",
    ),
    Loader(
        name="meltanolabs-target-postgres",
        executable="target-postgres",
        requirements=("meltanolabs-target-postgres==0.8.1",),
        destination="PostgreSQL",
        config=_POSTGRES | {"stream_maps": _NO_NUL},
        server=_SERVER | {"database": "database"},
        read=postgres_table,
        advice="a `password`, even where the server wants none; `stream_maps`, or a NUL ends the run",
    ),
    Loader(
        name="pipelinewise-target-postgres",
        executable="target-postgres",
        requirements=("pipelinewise-target-postgres==2.1.2",),
        destination="PostgreSQL",
        config=_POSTGRES,
        trial=_BATCHES,
        server=_SERVER | {"database": "dbname"},
        read=postgres_table,
        way_out="meltanolabs-target-postgres: this one also writes control characters out, such as `\\u0007`",
    ),
    Loader(
        name="splitgraph-pipelinewise-target-postgres",
        executable="target-postgres",
        requirements=("splitgraph-pipelinewise-target-postgres==2.1.0",),
        destination="PostgreSQL",
        config=_POSTGRES,
        trial=_BATCHES,
        server=_SERVER | {"database": "dbname"},
        read=postgres_table,
        way_out="meltanolabs-target-postgres: even with `jsonschema` beside it, this one needs Python 3.9 or older",
    ),
    Loader(
        name="meltanolabs-target-csv",
        executable="target-csv",
        requirements=("meltanolabs-target-csv==0.5.0",),
        destination="CSV",
        config={"output_path": "output"},
        read=csv_files("output/{stream}*.csv"),
        way_out="a `file_naming_scheme` with `{timestamp}`, as each run replaces the files that it finds",
    ),
    Loader(
        name="meltanolabs-target-csv, told to append",
        executable="target-csv",
        requirements=("meltanolabs-target-csv==0.5.0",),
        destination="CSV",
        config={"output_path": "output", "overwrite_behavior": "append_records"},
        read=csv_files("output/{stream}*.csv"),
        way_out="a `file_naming_scheme` with `{timestamp}`: `overwrite_behavior` changes nothing",
    ),
    Loader(
        name="meltanolabs-target-csv, a file for each run",
        executable="target-csv",
        requirements=("meltanolabs-target-csv==0.5.0",),
        destination="CSV",
        config={"output_path": "output", "file_naming_scheme": "{stream_name}-{timestamp}.csv"},
        maps=_EXTRA_AS_TEXT,
        read=csv_files("output/{stream}-*.csv"),
        advice="`file_naming_scheme` with `{timestamp}`, and in the tap a stream map that makes JSON of `extra`",
        way_out="read an empty text and a null alike",
    ),
    Loader(
        name="target-csv",
        executable="target-csv",
        requirements=("target-csv==0.3.0",),
        destination="CSV",
        config={"destination_path": "output", **_QUIET},
        read=csv_files("output/{stream}-*.csv"),
        way_out="meltanolabs-target-csv: this one is for Python 3.9 and older, where the tap doesn't run",
    ),
    Loader(
        name="no-headers-target-csv",
        executable="no-headers-target-csv",
        requirements=("no-headers-target-csv==1.0.4",),
        destination="CSV",
        config={"destination_path": "output", **_QUIET},
        read=csv_files("output/{stream}-*.csv"),
        way_out="meltanolabs-target-csv: this one is for Python 3.9 and older, where the tap doesn't run",
    ),
    Loader(
        name="target-json",
        executable="target-json",
        requirements=("target-json==0.0.11",),
        destination="JSON lines",
        config={"delimiter": "\n"},
        read=json_lines("{stream}-*.json"),
        way_out="`pytz` beside it, which it needs and doesn't ask for",
    ),
    Loader(
        name="target-json, with pytz",
        executable="target-json",
        requirements=("target-json==0.0.11", "pytz==2026.2"),
        beside=("pytz",),
        destination="JSON lines",
        config={"delimiter": "\n"},
        read=json_lines("{stream}-*.json"),
        advice="`pytz` beside it, and a line end as `delimiter`; files go to the working directory",
    ),
    Loader(
        name="target-localjson",
        executable="target-localjson",
        requirements=("target-localjson==0.1.1",),
        destination="a JSON file for each record",
        config={"dest_dir": "output", **_QUIET},
        read=singer_files("output/{stream}/*.json"),
        advice="`disable_collection: true`, or its makers are told of each run",
    ),
    Loader(
        name="target-singer-jsonl",
        executable="target-singer-jsonl",
        requirements=("target-singer-jsonl==0.1.0",),
        destination="Singer messages, zipped",
        config={"destination": "local", "local": {"folder": "output"}},
        read=singer_lines("output/{stream}/*.singer.gz"),
    ),
    Loader(
        name="target-core",
        executable="target-core",
        requirements=("target-core==0.1.0",),
        destination="JSON lines",
        config={"work_dir": "output"},
        read=json_lines("output/{stream}-*.json"),
    ),
    Loader(
        name="target-universal-file, JSON lines",
        executable="target-universal-file",
        requirements=("target-universal-file==0.0.1",),
        beside=("singer-sdk",),
        destination="JSON lines",
        config={**_UNIVERSAL, "file_type": "jsonl"},
        read=json_lines("output/{stream}*.jsonl"),
        way_out="a `path` of its own for each run, and in the tap a stream map that leaves nothing but text",
    ),
    Loader(
        name="target-universal-file, JSON lines of text",
        executable="target-universal-file",
        requirements=("target-universal-file==0.0.1",),
        beside=("singer-sdk",),
        destination="JSON lines",
        config={**_UNIVERSAL_APART, "file_type": "jsonl"},
        maps=_NOTHING_BUT_TEXT,
        read=json_lines("output/*/{stream}.jsonl"),
        advice="a `path` of its own for each run, and in the tap a stream map that leaves nothing but text",
    ),
    Loader(
        name="target-universal-file, Parquet",
        executable="target-universal-file",
        requirements=("target-universal-file==0.0.1",),
        beside=("singer-sdk",),
        destination="Parquet",
        config={**_UNIVERSAL, "file_type": "parquet"},
        read=parquet_files("output/{stream}*.parquet"),
        way_out="another loader: this one knows no column that may be null",
    ),
    Loader(
        name="target-avro",
        executable="target-avro",
        requirements=("target-avro==0.2.0",),
        destination="Avro",
        config={"prefix": "output/logs", **_QUIET},
        read=own_python(_ROWS_OF_AVRO, "output/*.{stream}.avro"),
        way_out="a `prefix` of its own for each run, and in the tap a stream map that leaves nothing but text",
    ),
    Loader(
        name="target-avro, of text",
        executable="target-avro",
        requirements=("target-avro==0.2.0",),
        destination="Avro",
        config={"prefix": "output/{run}", **_QUIET},
        maps=_NOTHING_BUT_TEXT,
        read=own_python(_ROWS_OF_AVRO, "output/*.{stream}.avro"),
        advice="a `prefix` of its own for each run, and in the tap a stream map that leaves nothing but text",
    ),
    Loader(
        name="target-sqlite",
        executable="target-sqlite",
        requirements=("target-sqlite==0.2.0",),
        destination="SQLite",
        config={"database": "output/connector_logs"},
        read=sqlite("output/*.db"),
        way_out="target-duckdb: this one is for Python 3.9 and older, where the tap doesn't run",
    ),
)
"""The loaders to try, in the order of the page."""

LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut(
        names=("target-parquet 0.0.1",),
        reason="Does not install: pandas 0.24.2 and pyarrow 0.13.0, which it asks for, can't be built on Python 3.11.",
    ),
    LeftOut(
        names=("target-postgres 1.1.3", "singer-target-postgres 0.2.4"),
        reason="Do not install: psycopg2 2.7.5 and 2.8.5, which they ask for, can't be built on Python 3.11.",
    ),
    LeftOut(
        names=("macrometa-target-postgres 1.0.0", "c8-target-postgres 0.0.2"),
        reason="Do not install: they want a Python below 3.11, which this tap doesn't run on.",
    ),
    LeftOut(
        names=("target-s3-delta 0.0.25",),
        reason=(
            "Needs an account, of Amazon S3. It installs; by its code, it gathers the records of all streams in a "
            "fixed folder below `/tmp`, writes them into one table, and replaces that with each run by default."
        ),
    ),
    LeftOut(
        names=(
            "macrometa-target-s3 0.0.14",
            "pipelinewise-target-s3-csv 2.0.0",
            "plinxore-target-s3 0.1.7",
            "scalefree-target-s3-json 0.2",
            "target-azure-storage 0.0.1",
            "target-azureblobstorage 0.1.0",
            "target-gcs 1.2.3",
            "target-s3 0.1.0",
            "target-s3-avro 1.2",
            "target-s3-jsonl 2.0.1",
            "target-s3tables 0.0.6",
        ),
        reason="Need an account, of an object store.",
    ),
    LeftOut(
        names=(
            "cifl-target-bigquery 0.1.0",
            "fluidattacks-target-warehouse 4.1.0",
            "macrometa-target-bigquery 1.0.0",
            "macrometa-target-snowflake 1.0.0",
            "meltanolabs-target-snowflake 0.20.4",
            "oc-pipelinewise-target-snowflake 2.2.0",
            "pipelinewise-target-bigquery 1.5.0",
            "pipelinewise-target-redshift 1.6.0",
            "pipelinewise-target-redshift-fix 1.6.3",
            "pipelinewise-target-snowflake 2.3.0",
            "singer-target-iomete 1.1.0",
            "target-bigquery 1.4.0",
            "target-bigquery-partition 0.2.5",
            "target-redshift 0.2.4",
            "target-snowflake 0.2.4",
            "z3-target-bigquery 0.7.2",
        ),
        reason="Need an account, of a warehouse.",
    ),
    LeftOut(
        names=(
            "c8-target-c8collection 0.0.25",
            "cifl-target-gsheets 0.1.0",
            "macrometa-target-collection 1.0.2",
            "target-airtable 1.3.0",
            "target-datadotworld 1.0.1",
            "target-firebase 0.0.1a6",
            "target-gsheet 0.2.5",
            "target-kbc 0.1.6",
            "target-magentobi 0.1.0",
            "target-mako 1.3.0",
            "target-miso 0.9.5",
            "target-redcap 0.0.4",
            "target-stitch 4.0.3",
            "target-streamduo 0.1.0",
            "target-typo 0.1.0",
            "target-typo-proxy 0.1.0",
        ),
        reason="Need an account, of the service that they are named after.",
    ),
    LeftOut(
        names=(
            "macrometa-target-mongo 1.0.0",
            "macrometa-target-mssql 1.0.0",
            "macrometa-target-mysql 0.0.12",
            "macrometa-target-oracle 1.0.0",
            "meltano-target-cratedb 0.3.0",
            "shaped-target-clickhouse 0.2.5",
            "singer-target-mysql 0.0.2",
            "target-couchbase 0.1.2",
            "target-db2 0.1.5",
            "target-elasticsearch 2.1.0",
            "target-jsonl-webhdfs 0.1.4.4",
            "target-kafka 0.1.3",
            "target-mssql 0.2.1",
            "target-mysql 0.8.0",
            "target-starrocks 0.0.1a5",
            "target-terminusdb 0.1.4",
            "target-weaviate 0.1.0",
            "thk-target-mysql 0.1.3",
            "yw-etl-target-clickhouse 0.1.8",
        ),
        reason="Need a server that can't be installed as a Python package without rights on the machine.",
    ),
    LeftOut(
        names=("singer-summarize 0.0.1a6", "target-apprise 0.1.0"),
        reason="Keep no records: one counts them, the other sends notifications.",
    ),
)
"""The loaders that were not run."""
