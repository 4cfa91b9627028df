"""The command line: `python -m tools.benchmarks` measures everything and writes RESULTS.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.benchmarks.cases import CASES
from tools.benchmarks.environments import installed_version
from tools.benchmarks.report import head, section
from tools.benchmarks.scenarios import run_scenario
from tools.benchmarks.subjects import SUBJECTS

_QUICK = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Install the subjects, run the cases, and write the document, anew after each case."""
    options = _parser().parse_args(arguments)
    subjects = [subject for subject in SUBJECTS if subject.name in options.subjects]
    cases = [case for case in CASES if case.letter in options.only]
    versions = {}
    for subject in subjects:
        sys.stderr.write(f"installing {subject.name}\n")
        subject.install(subject.name)
        versions[subject.name] = installed_version(subject.name, subject.distribution)
    text = head(subjects, versions, rounds=options.rounds, is_quick=options.quick)
    for case in cases:
        sys.stderr.write(f"({case.letter}) {case.title}\n")
        scenarios = [scenario.smaller(_QUICK) if options.quick else scenario for scenario in case.scenarios]
        results = [(scenario, list(run_scenario(scenario, subjects, rounds=options.rounds))) for scenario in scenarios]
        text += f"\n{section(case, results)}"
        options.output.write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks", description="Compares the tap with other ways of reading the same logs."
    )
    letters = [case.letter for case in CASES]
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--only", type=_some_of(letters), default=letters, help=f"cases, of {','.join(letters)}")
    parser.add_argument("--subjects", type=_some_of(names), default=names, help=f"subjects, of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--quick", action="store_true", help="divide all sizes by ten, to try the harness")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("RESULTS.md"), help="file to write")
    return parser


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what reads a list with commas of known names."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := sorted(set(found) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return found

    return names


if __name__ == "__main__":
    main()
