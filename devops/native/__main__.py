"""The command line: ``python3 -m devops.native``, from the repository's root."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from signal import Signals

from . import choice
from .errors import NativeError
from .folder import VARIABLE
from .services import ALL_NAMES, Services

SIGNALS = ("STOP", "CONT", "TERM", "INT", "QUIT", "KILL")

Action = Callable[[Services, argparse.Namespace], int]

RUN_HELP = """\
Run CMD against real services and exit with its exit code. If KAFKA_BROKER,
DATABASE_URL and CELERY_BROKER_URL are all set, CMD uses what they point at; else
Docker, if an engine with the compose plugin answers; else native services. What
was started for CMD is stopped afterwards, also after a failure or a signal; what
was up before stays.
"""


def main() -> int:
    """Do what the command line says."""
    options = _parser().parse_args()
    action: Action = options.action
    try:
        return action(Services(), options)
    except NativeError as error:
        print(f"native: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(services: Services, options: argparse.Namespace) -> int:
    services.up()
    return 0


def _down(services: Services, options: argparse.Namespace) -> int:
    services.down()
    return 0


def _status(services: Services, options: argparse.Namespace) -> int:
    lines = services.status()
    for name, word, where in lines:
        print(f"{name:<9} {word:<7} {where}".rstrip())
    return 0 if all(word == "up" for _, word, _ in lines) else 3


def _env(services: Services, options: argparse.Namespace) -> int:
    for name, value in services.environment().items():
        print(f"{name}={value}")
    return 0


def _run(services: Services, options: argparse.Namespace) -> int:
    return choice.run(services, [options.program, *options.args], options.native)


def _one(services: Services, options: argparse.Namespace) -> int:
    for name in options.services:
        getattr(services, options.command)(name)
    return 0


def _signal(services: Services, options: argparse.Namespace) -> int:
    for name in options.services:
        services.signal(name, Signals[f"SIG{options.signal}"])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m devops.native",
        description="Apache Kafka, PostgreSQL and Redis without Docker, on private ports.",
        epilog=f"Data lies in .native/ of the repository, or in ${VARIABLE} if that is set.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, action: Action, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text.partition(".")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(action=action)
        return command

    add("up", _up, "Install what is missing, start all services, wait until they are ready.")
    add("down", _down, "Stop all services and remove their data. Logs stay.")
    add("status", _status, "Show what runs and where. Exit code 3 unless all are up.")
    add("env", _env, "Print the variables that point clients at the services.")
    _add_one(add("start", _one, "Start a service, with the port and data it had."))
    _add_one(add("stop", _one, "Stop a service and keep its port and data."))
    _add_one(add("restart", _one, "Stop a service and start it again."))
    send = add(
        "signal", _signal, "Send a signal to a service: STOP freezes it, CONT lets it go on."
    )
    send.add_argument("signal", choices=SIGNALS, metavar="SIGNAL", help="|".join(SIGNALS))
    _add_one(send)
    run = add("run", _run, RUN_HELP)
    run.add_argument("--native", action="store_true", help="use native services in any case")
    run.add_argument("program", metavar="CMD", help="the command, after --")
    run.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    return parser


def _add_one(command: argparse.ArgumentParser) -> None:
    """Let a command take names of services."""
    command.add_argument(
        "services", nargs="+", choices=ALL_NAMES, metavar="SERVICE", help="|".join(ALL_NAMES)
    )


if __name__ == "__main__":
    sys.exit(main())
