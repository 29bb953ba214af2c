"""Ports of native services: distinct, whatever the seed, and kept while they can be."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from devops.native import ports, process, service
from devops.native.folder import Folder
from devops.native.redis import Redis
from devops.native.state import Record, State


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A socket that somebody else listens on."""
    with socket.create_server((ports.HOST, ports.free_ports(1)[0])) as found:
        yield found


def test_two_processes_with_the_same_seed_choose_different_ports() -> None:
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(ports.free_ports(5))
    assert not set(chosen[0]) & set(chosen[1])


def test_a_port_that_is_taken_for_a_moment_is_waited_for(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    assert not ports.become_free([port], 0)
    threading.Timer(0.2, taken.close).start()
    assert ports.become_free([port], 30)


def test_a_service_whose_port_is_taken_for_good_moves_and_says_so(
    taken: socket.socket,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = taken.getsockname()[1]
    folder = Folder(tmp_path_factory.mktemp("native"))
    folder.create()
    monkeypatch.setattr(service, "PORT_SECONDS", 0.0)
    monkeypatch.setattr(process, "spawn", lambda command, log: (0, ""))
    redis = Redis(folder, State(folder.state))
    record = Record("redis", ports=[port], folder=str(folder.root), prepared=True)
    moved = redis._launch(record)
    assert moved.port != port
    said = capsys.readouterr().err
    assert str(port) in said
    assert str(moved.port) in said
