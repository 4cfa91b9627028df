"""The tap: settings, catalog and state made into a run, and how the run ends."""

from __future__ import annotations

import logging
import os
import sys
from copy import deepcopy
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, TextIO, cast

import click
from singer_sdk import Stream, Tap, metrics
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import Metadata
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_connector_logs import summary
from tap_connector_logs.errors import OutputError, TapError
from tap_connector_logs.inputs import environment, parse_object, read_object
from tap_connector_logs.interruption import Interruption
from tap_connector_logs.settings import (
    CONFIG_SCHEMA,
    TAP_NAME,
    Settings,
    parse_settings,
    settings_from_environment,
    times_without_zone,
    wrong_settings,
)
from tap_connector_logs.singer.inputs import check_state, complete_catalog
from tap_connector_logs.singer.maps import check_maps, leaves_out, set_up, wrong_map
from tap_connector_logs.singer.messages import MessageWriter
from tap_connector_logs.singer.streams import ConnectorLogsStream, ConnectorsStream
from tap_connector_logs.state import STREAM
from tap_connector_logs.sync import Sync

logger = logging.getLogger(__name__)


class TapConnectorLogs(Tap):
    """Singer tap for the execution logs of Supermetrics Codeless Connectors."""

    # Attributes of a run beyond the SDK's:
    #   settings: the tap's own settings; not set where no run follows, in discovery.
    #   writer: where all messages leave.
    #   interruption: how a signal ends the run.

    name = TAP_NAME
    config_jsonschema = deepcopy(CONFIG_SCHEMA)  # to which the SDK adds settings of its own
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    settings: Settings

    def __init__(self, *, config: dict[str, Any] | None = None, validate_config: bool = True, **kwargs: Any) -> None:
        """Check settings, catalog and state.

        Args:
            config: Setting names and values.
            validate_config: False where no run follows, in discovery.
            kwargs: As the SDK has them: `catalog`, `state`, `parse_env_config` and others.

        Raises:
            InputError: If one of them can't be used.
        """
        self.interruption = Interruption()
        self.writer = MessageWriter(self.interruption.deferred)
        self.append_builtin_config(self.config_jsonschema)
        settings = dict(config or {})
        if kwargs.pop("parse_env_config", False) and validate_config:
            # The SDK's own way fails with a stack trace, finds no `.env` in the working directory, and knows no decimal
            # numbers.
            settings |= settings_from_environment(environment(), self.config_jsonschema)
        if validate_config:
            self.settings = parse_settings(settings, self.config_jsonschema)
            _warn_of_times(settings)
        keys = {stream.name: stream.primary_keys for stream in (ConnectorLogsStream, ConnectorsStream)}
        kwargs["catalog"] = complete_catalog(kwargs.get("catalog"), keys)
        check_state(kwargs.get("state"), keys.keys())
        level = self.logger.level
        self.logger.setLevel(logging.ERROR)  # the SDK tells what it does not do, and what discovery needs not
        try:
            super().__init__(
                config={name: value for name, value in settings.items() if value is not None},
                validate_config=validate_config,
                message_writer=self.writer,
                **kwargs,
            )
        except ConfigValidationError as error:
            raise wrong_settings(error.errors) from error
        finally:
            self.logger.setLevel(level)

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, but for the one of Faker, which does not come with the tap."""
        super().append_builtin_config(config_jsonschema)
        config_jsonschema["properties"].pop("faker_config", None)

    @override
    def setup_mapper(self) -> None:
        """Set up the maps of all streams, selected or not, and read none that they leave out.

        Raises:
            InputError: If the maps can't be used.
        """
        maps = self.config.get("stream_maps")
        if maps is not None:
            check_maps(maps, {stream.name: stream.schema["properties"] for stream in self.streams.values()})
        super(Tap, self).setup_mapper()
        catalog = Catalog.from_dict(self.catalog.to_dict())
        for entry in catalog.streams:  # the SDK would take all columns from a stream that is not selected
            entry.metadata.root.inclusion = Metadata.InclusionType.AUTOMATIC
        try:
            self.mapper.register_raw_streams_from_catalog(catalog)
        except Exception as error:  # an alias is an expression: it may fail in any way
            raise wrong_map(error) from error
        set_up(self.mapper, maps or {})
        for stream in self.streams.values():
            if stream.selected and leaves_out(self.mapper, stream.name):
                stream.selected = False
                logger.info("stream_maps leaves %s out: it is not read, and its state stays as it is.", stream.name)

    @override
    def discover_streams(self) -> list[Stream]:
        streams: list[Stream] = [ConnectorLogsStream(self), ConnectorsStream(self)]
        for stream in streams:
            stream.logger.addFilter(_is_told_here_only)
        return streams

    @cached_property
    def sync(self) -> Sync:
        """The run, of which each stream is a part."""
        bookmarks = self.state.get("bookmarks", {})
        return Sync(self.settings, bookmarks.get(STREAM, {}), deferred=self.interruption.deferred)

    def checkpoint(self) -> None:
        """Take in the state of all logs written, and write it if there is room."""
        if self.sync.state:
            self.state.setdefault("bookmarks", {})[STREAM] = self.sync.state
        if self.writer.has_room_for_state:
            self.state_writer.write_state(self.state)

    def write_state(self) -> None:
        """Write the state of all logs written, and all that waits."""
        self.checkpoint()
        self.state_writer.write_state(self.state)
        self.writer.flush()

    def test_connection(self) -> None:
        """Read one record of each stream, and tell of it.

        Where the settings name the connectors, their list is not asked for: the credential may not be allowed to.

        Raises:
            TapError: If anything could not be read.
        """
        tested = [
            stream
            for stream in self.streams.values()
            if stream.name == STREAM or self.settings.connector_identifiers is None
        ]
        self.run_sync_dry_run(dry_run_record_limit=1, streams=tested)
        self.writer.flush()
        self.sync.raise_failures()
        names = " and ".join(stream.name for stream in tested)
        requests = self.sync.client.requests_made
        logger.info("The connection works: %s can be read. That took %d requests.", names, requests)

    def run(self) -> None:
        """Sync all selected streams.

        Raises:
            TapError: If anything is left unread that should have been read. The state is written before.
            Interrupted: If a signal ended the run. The state is written before.
        """
        try:
            self.sync_all()
            self.writer.flush()
        except OutputError:
            raise  # the state can't be written, either
        except BaseException:
            self.write_state()
            raise
        finally:
            _log_metric(summary.tell(self.sync))
        self.sync.raise_failures()

    # The SDK writes the state inside the signal handler, amid a record perhaps, and exits with 0: an orchestrator
    # would take a cut run for a finished one. It installs this very method as the handler.
    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        self.interruption.handle(signum, frame)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the files of `--config`, each of which must hold a JSON object."""
        given = super().cb_config(ctx, param, tuple(path for path in value if path == "ENV"))
        for path in value:
            if path != "ENV":
                given.config.update(read_object("settings", Path(path)))
        return given

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Test the connection as the SDK does, and tell whether it failed."""
        if value == CliTestOptionValue.Disabled.value:
            return
        config = ctx.params["config"]
        tap = cls(config=config.config, parse_env_config=config.parse_env)
        if value == CliTestOptionValue.Schema.value:
            tap.write_schemas()
            names = " and ".join(tap.streams)
            logger.info("The settings can be used. The schemas of %s are written; the API was not asked.", names)
        else:
            tap.test_connection()
        ctx.exit()

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # the SDK's own does not fit its base class, either
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        state: TextIO | None = None,
        catalog: TextIO | None = None,
    ) -> None:
        """Run the command line: as the SDK does, but for how bad input is told and how a run ends."""
        super(Tap, cls).invoke(about=about, about_format=about_format)
        tap = cls(
            config=config.config,
            state=None if state is None else parse_object("state", state),
            catalog=None if catalog is None else parse_object("catalog", catalog),
            parse_env_config=config.parse_env,
        )
        cls.print_version(print_fn=cls.logger.info)
        tap.run()


def _warn_of_times(settings: dict[str, Any]) -> None:
    """Tell what a time without a zone is taken for, which may have had one in a file of Meltano's."""
    for name in times_without_zone(settings):
        logger.warning(
            "%s has no time zone and is taken for UTC. Meltano drops the zone of a time in meltano.yml that is not in "
            "quotes: write it as '2025-01-01T00:00:00+02:00'.",
            name,
        )


def _is_told_here_only(record: logging.LogRecord) -> bool:
    """Leave out the line of the SDK that a sync has ended by an error which the last line tells."""
    return not (record.levelno == logging.ERROR and isinstance(sys.exc_info()[1], TapError))


class _Metric(StrEnum):
    """A metric that the SDK lacks."""

    RUN_SUMMARY = "run_summary"


def _log_metric(run_summary: dict[str, Any]) -> None:
    """Write the summary of a run to the SDK's log of metrics."""
    point = metrics.Point("summary", cast("metrics.Metric", _Metric.RUN_SUMMARY), run_summary)
    point.tags = {metrics.Tag.PID: os.getpid()}
    metrics.log(metrics.get_metrics_logger(), point)
