"""The command line: `python -m tools.loaders` tries the loaders out and writes their page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from tools.loaders.catalog import LOADERS
from tools.loaders.page import PAGE, RESULTS, parts, read_results, write_results
from tools.loaders.trial import try_out
from tools.page_parts import with_parts
from tools.postgres import postgres


def main(arguments: Sequence[str] | None = None) -> None:
    """Try each loader out that is asked for, note what came of it, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.loaders", description="Tries Singer loaders out with this tap."
    )
    parser.add_argument("--only", help="distributions, with commas between; the others keep their results")
    parser.add_argument("--jobs", type=int, default=2, help="loaders that run at a time")
    options = parser.parse_args(arguments)
    known = {loader.distribution for loader in LOADERS}
    wanted = set(options.only.split(",")) if options.only else known
    if unknown := sorted(wanted - known):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    results = read_results() if RESULTS.exists() else {}
    with postgres() as port, ThreadPoolExecutor(options.jobs) as pool:
        trials = {pool.submit(try_out, loader, port): loader for loader in LOADERS if loader.distribution in wanted}
        for trial in as_completed(trials):
            name = trials[trial].name
            results[name] = trial.result()
            write_results(results)
            sys.stderr.write(f"{name}: {results[name].failure or 'done'}\n")
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8"), parts(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
