"""Stream maps: refused before a run if they can't be what is meant, and told in one line if they fail on a record."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatch
from itertools import chain
from typing import Any

from singer_sdk.contrib.msgspec import encoder
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
)

from tap_connector_logs.errors import InputError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.settings import nearest, wrong_settings
from tap_connector_logs.state import STREAM

logger = logging.getLogger(__name__)

_OPTIONS = (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
)

Maps = Mapping[str, Any]
"""The setting `stream_maps`, of the form that its schema has."""


def check_maps(maps: Maps, columns: Mapping[str, Collection[str]]) -> None:
    """Refuse maps that can't be what is meant, and warn of those that change nothing.

    Args:
        maps: The maps.
        columns: The columns of each stream.

    Raises:
        InputError: If one names what there is not, or holds what is no expression. The SDK would leave it aside.
    """
    named = {name: definition for name, definition in maps.items() if name != MAPPER_ELSE_OPTION}
    if problems := list(chain.from_iterable(_problems(*item, columns) for item in named.items())):
        raise wrong_settings(problems)
    empty = [_place(name) for name, definition in named.items() if definition == {}] if maps else ["stream_maps"]
    for place in empty:
        logger.warning(
            "%s is empty and changes nothing. Meltano drops what is null in meltano.yml: to leave a column out, write "
            "%s in the place of null.",
            place,
            NULL_STRING,
        )


def set_up(mapper: PluginMapper, maps: Maps) -> None:
    """Let each expression that fails on a record be told as a wrong setting.

    Args:
        mapper: The mapper, with all streams registered.
        maps: The maps that it was made of.

    Raises:
        InputError: If a stream is to be given a name that is no text.
    """
    for stream_map in chain.from_iterable(mapper.stream_maps.values()):
        if not isinstance(stream_map.stream_alias, str):
            raise wrong_settings([f"stream_maps: an {MAPPER_ALIAS_OPTION} is no text"])
        if isinstance(stream_map, CustomStreamMap):
            evaluator = stream_map.expr_evaluator
            evaluator.eval = _told_as_setting(evaluator, evaluator.eval, maps)


def leaves_out(mapper: PluginMapper, stream: str) -> bool:
    """Tell whether the maps leave a whole stream out."""
    return all(isinstance(stream_map, RemoveRecordTransform) for stream_map in mapper.stream_maps[stream])


def wrong_map(error: Exception) -> InputError:
    """Return the error that tells what the SDK does not like about a map."""
    return wrong_settings([f"stream_maps: {sanitize(error).rstrip('.')}"])


def _place(*names: str) -> str:
    return ".".join(("stream_maps", *map(sanitize, names)))


def _problems(name: str, definition: Any, columns: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Name what is wrong with the map of one stream."""
    content = definition if isinstance(definition, dict) else {}
    source = content.get(MAPPER_SOURCE_OPTION, name)
    streams = [stream for stream in columns if fnmatch(stream, source)]
    if not streams:
        place = _place(name, MAPPER_SOURCE_OPTION) if MAPPER_SOURCE_OPTION in content else _place(name)
        yield f"{place} names no stream{nearest(source, columns)}"
        return
    known = {column for stream in streams for column in columns[stream]}
    for column, expression in content.items():
        if column in _OPTIONS and column != MAPPER_FILTER_OPTION:
            continue
        if column.startswith("__") and column not in _OPTIONS and (meant := nearest(column, _OPTIONS, 0.6)):
            yield f"{_place(name, column)} is no option of a stream map{meant}"
        elif expression is None or expression == NULL_STRING:
            if column not in known:
                yield f"{_place(name, column)} names no column{nearest(column, known)}"
        elif not _is_expression(expression):
            yield f"{_place(name, column)} is no expression" + (f": {sanitize(expression)}" if expression else "")


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _told_as_setting(evaluator: Any, evaluate: Callable[..., Any], maps: Maps) -> Callable[..., Any]:
    """Let an expression that fails in whatever way, or gives what JSON can't hold, be told as a wrong setting."""

    def evaluate_or_refuse(expression: str, *args: Any, **kwargs: Any) -> Any:
        try:
            value = evaluate(expression, *args, **kwargs)
            encoder.encode(value)
        except Exception as error:
            raise wrong_settings([_failure(expression, error, evaluator.names, maps)]) from error
        return value

    return evaluate_or_refuse


def _failure(expression: str, error: Exception, names: Mapping[str, Any], maps: Maps) -> str:
    """Say which setting has failed on which record, with no value of that but null."""
    places = [
        _place(name, column)
        for name, definition in maps.items()
        if isinstance(definition, dict)
        for column, each in definition.items()
        if each == expression
    ]
    record = names["record"]
    which = f"connector {sanitize(record.get('connector_identifier'))}"
    if names["__original_stream_name__"] == STREAM:
        which = f"log {sanitize(record.get('id'))} of {which}"
    used = dict.fromkeys(node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name))
    nulls = [name for name in used if name in names and names[name] is None]
    because = f", as {' and '.join(nulls)} {'is' if len(nulls) == 1 else 'are'} null there" if nulls else ""
    return (
        f"{' and '.join(places)}: the expression {sanitize(expression)} fails on {which} with "
        f"{type(error).__name__}{because}"
    )
