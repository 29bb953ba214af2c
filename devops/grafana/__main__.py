"""Writes the dashboards' JSON files: ``python3 -m devops.grafana``."""

from __future__ import annotations

from pathlib import Path

from . import boards

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write every dashboard beside this file."""
    for name, board in boards.ALL.items():
        (HERE / name).write_text(board.text())


if __name__ == "__main__":
    main()
