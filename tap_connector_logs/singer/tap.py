"""The tap: settings, catalog and state made into a run, and how the run ends."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar

import click
from dotenv import dotenv_values
from singer_sdk import Stream, Tap
from singer_sdk.exceptions import ConfigValidationError, MappingError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import PluginBase
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_connector_logs import summary
from tap_connector_logs.api.client import Client
from tap_connector_logs.errors import ConnectorsFailedError, Interrupted, OutputError, TapError
from tap_connector_logs.log_safety import register_secret, sanitize
from tap_connector_logs.output import MessageWriter
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.records import usable_identifier
from tap_connector_logs.settings import (
    CONFIG_SCHEMA,
    CONNECTOR_IDENTIFIER,
    CREDENTIALS,
    TAP_NAME,
    Settings,
    parse_settings,
    settings_from_environment,
    wrong_settings,
)
from tap_connector_logs.singer.inputs import check_state, complete_catalog, parse_object, read_object
from tap_connector_logs.singer.streams import ConnectorLogsStream, ConnectorsStream


class TapConnectorLogs(Tap):
    """Singer tap for the execution logs of Supermetrics Codeless Connectors."""

    # Attributes of a run beyond the SDK's:
    #   settings: the tap's own settings; not set where no run follows, in discovery.
    #   writer: where all messages leave.
    #   reader: the reading of logs, once it has begun.
    #   ended_by: what ended the reading before its end.

    name = TAP_NAME
    config_jsonschema = deepcopy(CONFIG_SCHEMA)  # to which the SDK adds settings of its own
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
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
        self.scheduler: Scheduler | None = None
        self.ended_by: TapError | None = None
        self.writer = MessageWriter(self.uninterrupted)
        self._signal: int | None = None
        self._is_uninterrupted = False
        self.append_builtin_config(self.config_jsonschema)
        settings = dict(config or {})
        if validate_config and kwargs.get("parse_env_config"):
            settings |= self._env_var_config
        for name in CREDENTIALS:
            if isinstance(credential := settings.get(name), str):
                register_secret(credential)
        if validate_config:
            self.settings = parse_settings(settings, self.config_jsonschema)
        keys = {stream.name: stream.primary_keys for stream in (ConnectorLogsStream, ConnectorsStream)}
        kwargs["catalog"] = complete_catalog(kwargs.get("catalog"), keys)
        check_state(kwargs.get("state"), keys.keys())
        level = self.logger.level
        self.logger.setLevel(logging.WARNING)  # the SDK tells what it does not do
        try:
            super().__init__(
                config=config,
                validate_config=validate_config,
                message_writer=self.writer,
                **kwargs,
            )
        except ConfigValidationError as error:
            raise wrong_settings(error.errors) from error
        except MappingError as error:
            raise wrong_settings([f"stream_maps: {sanitize(error)}"]) from error
        finally:
            self.logger.setLevel(level)

    @override
    def discover_streams(self) -> list[Stream]:
        return [ConnectorLogsStream(self), ConnectorsStream(self)]

    @cached_property
    def client(self) -> Client:
        """The one client that all streams ask."""
        return Client(self.settings)

    @cached_property
    def connectors(self) -> list[dict[str, Any]]:
        """The connectors of the team, as the API lists them, asked for once."""
        return self.client.list_connectors().entries

    @cached_property
    def connector_identifiers(self) -> tuple[str, ...]:
        """The connectors to read logs of: those of the settings, or all of the team."""
        if self.settings.connector_identifiers is not None:
            return self.settings.connector_identifiers
        listed = dict.fromkeys(usable_identifier(found.get("connector_identifier")) or "" for found in self.connectors)
        usable = tuple(name for name in listed if re.fullmatch(CONNECTOR_IDENTIFIER, name))
        if not usable:
            self.logger.warning("Team %d has no connector that the credential may see.", self.settings.team_id)
        if len(usable) < len(listed):
            self.logger.warning(
                "%d listed connectors have no usable identifier; their logs can't be read.",
                len(listed) - len(usable),
            )
        return usable

    def write_state(self) -> None:
        """Write the state of all pages that have been written whole."""
        # Batch messages leave later than the records that they name: the SDK writes the state after each.
        if not self.config.get("batch_config"):
            self.state_writer.write_state(self.state)
        self.writer.flush()

    def run(self) -> None:
        """Sync all selected streams.

        Raises:
            TapError: If anything is left unread that should have been read. The state is written before.
            Interrupted: If a signal ended the run. The state is written before.
        """
        began = time.monotonic()
        try:
            self.sync_all()
            self.writer.flush()
        except OutputError:
            raise  # the state can't be written, either
        except MappingError as error:
            self.write_state()
            raise wrong_settings([f"stream_maps: {sanitize(error)}"]) from error
        except BaseException:
            self.write_state()
            raise
        finally:
            summary.tell(self.scheduler, self.client, seconds=time.monotonic() - began)
        self._raise_failures()

    def _raise_failures(self) -> None:
        """Raise what left anything unread."""
        if self.ended_by is not None:
            raise self.ended_by
        if self.scheduler is not None and self.scheduler.failures:
            raise ConnectorsFailedError(self.scheduler.failures, of=self.scheduler.connectors)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let a signal end the run only after this block, and after the one around it.

        A second signal doesn't wait.
        """
        outermost = not self._is_uninterrupted
        self._is_uninterrupted = True
        try:
            yield
        finally:
            self._is_uninterrupted = not outermost
        if self._signal is not None and outermost:
            raise Interrupted(self._signal)

    # The SDK writes the state inside the signal handler, amid a record perhaps, and exits with 0: an orchestrator
    # would take a cut run for a finished one. It installs this very method as the handler.
    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(Interrupted(signum).exit_code)
        self._signal = signum
        if not self._is_uninterrupted:
            raise Interrupted(signum)

    # The SDK's own reading of environment variables fails with a stack trace, finds no `.env` in the working
    # directory, and knows no decimal numbers; it can't be replaced in another way.
    @property
    def _env_var_config(self) -> dict[str, Any]:
        try:
            from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
        except (OSError, ValueError) as error:
            raise wrong_settings(["the file .env can't be read as text in UTF-8"]) from error
        return settings_from_environment({**from_file, **os.environ}, self.config_jsonschema)

    # `parse_settings` has checked the settings; the SDK's words would repeat wrong values, secrets among them.
    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        return super()._validate_config(raise_errors=raise_errors) if raise_errors else []

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the files of `--config`, once each is known to hold a JSON object."""
        for path in value:
            if path != "ENV":
                read_object("settings", Path(path))
        return super().cb_config(ctx, param, value)

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
        else:
            tap.run_connection_test()
            tap.writer.flush()
        tap._raise_failures()
        ctx.exit()

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # the SDK's own does not fit its base class, either
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the command line: as the SDK does, but for how bad input is told and how a run ends."""
        PluginBase.invoke.__func__(cls, about=about, about_format=about_format)  # type: ignore[attr-defined]
        tap = cls(
            config=config.config,
            state=None if state is None else parse_object("state", state),
            catalog=None if catalog is None else parse_object("catalog", catalog),
            parse_env_config=config.parse_env,
        )
        cls.print_version(print_fn=cls.logger.info)
        tap.run()
