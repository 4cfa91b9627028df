"""The command line: `python -m tools.simulator` serves a simulated team until it is told to stop."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence

import uvicorn

from tools.simulator.app import create_app
from tools.simulator.fleets import DEMO_FLEET, uneven_fleet, uniform_fleet
from tools.simulator.history import Profile
from tools.simulator.instants import DAY, read_date_time
from tools.simulator.simulation import Simulation
from tools.simulator.switches import Switches, manual


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on a loopback port, and print where as one line of JSON once connections are accepted."""
    options = _parser().parse_args(arguments)
    app = create_app(_simulation(options))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,  # the simulator sets its own, which can be wrong
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )

    def stop(*_: object) -> None:
        server.should_exit = True

    # The server handles these while it runs, then raises them once more: here they mean a clean exit.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if options.exit_with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    # The event loop turns Nagle's algorithm off, and 40 ms of waiting with it, only if the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", options.port))
        listener.listen()
        place = {
            "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "team_id": options.team_id,
            "api_key": options.api_key,
        }
        sys.stdout.write(json.dumps(place) + "\n")
        sys.stdout.flush()
        server.run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.simulator",
        description="A stand-in for the Supermetrics API's connector logs.",
        epilog=manual(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="decides the whole history")
    parser.add_argument("--fleet", choices=["demo", "uniform", "uneven"], default="demo")
    parser.add_argument("--connectors", type=int, default=1, help="uniform and uneven fleet: connectors")
    parser.add_argument(
        "--logs",
        type=int,
        default=1000,
        help="uniform fleet: logs of each connector until now; uneven fleet: about those of the first",
    )
    parser.add_argument("--ties", type=float, default=0.0, help="uniform fleet: share of logs that share their instant")
    parser.add_argument("--history-days", type=float, default=30.0, help="days between the first log and now")
    parser.add_argument("--now", default="2026-01-31T12:00:00Z", help="the simulated present, which stands still")
    parser.add_argument("--team-id", type=int, default=936506)
    parser.add_argument("--api-key", default="simulator-key")
    parser.add_argument("--switches", type=json.loads, default={}, help="a JSON object; see below")
    parser.add_argument("--exit-with-parent", action="store_true", help="exit when standard input is closed")
    return parser


def _simulation(options: argparse.Namespace) -> Simulation:
    now = read_date_time(options.now)
    fleet: tuple[Profile, ...] = DEMO_FLEET
    if options.fleet == "uniform":
        fleet = uniform_fleet(options.connectors, logs=options.logs, ties=options.ties, days=options.history_days)
    elif options.fleet == "uneven":
        fleet = uneven_fleet(options.connectors, logs=options.logs, days=options.history_days)
    return Simulation(
        fleet,
        team_id=options.team_id,
        api_key=options.api_key,
        seed=options.seed,
        start=now - int(options.history_days * DAY),
        now=now,
        switches=Switches().changed(options.switches),
    )


def _wait_for_end_of_input(then: Callable[[], None]) -> None:
    # Not sys.stdin: a thread that waits inside its lock can't be left behind when the interpreter exits.
    while os.read(0, 4096):
        pass
    then()


if __name__ == "__main__":
    main()
