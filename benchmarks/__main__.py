"""The command line: `python -m benchmarks` measures everything and writes RESULTS.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.environments import installed_version
from benchmarks.report import head, section
from benchmarks.scenes import play
from benchmarks.subjects import SUBJECTS
from benchmarks.works import WORKS

_QUICK = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Install the subjects, do the works, and write the document, anew after each work."""
    options = _parser().parse_args(arguments)
    subjects = [subject for subject in SUBJECTS if subject.name in options.subjects]
    works = [work for work in WORKS if work.letter in options.only]
    versions = {}
    for subject in subjects:
        sys.stderr.write(f"installing {subject.name}\n")
        subject.install(subject.name)
        versions[subject.name] = installed_version(subject.name, subject.distribution)
    text = head(subjects, versions, rounds=options.rounds, is_quick=options.quick)
    for work in works:
        sys.stderr.write(f"({work.letter}) {work.title}\n")
        scenes = [scene.smaller(_QUICK) if options.quick else scene for scene in work.scenes]
        results = [(scene, list(play(scene, subjects, rounds=options.rounds))) for scene in scenes]
        text += f"\n{section(work, results)}"
        options.output.write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compares the tap with other ways of reading the same logs."
    )
    letters = [work.letter for work in WORKS]
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--only", type=_some_of(letters), default=letters, help=f"works, of {','.join(letters)}")
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
