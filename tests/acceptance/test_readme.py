"""The README's snippets do what the README says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

import kafka_integration
from kafka_integration.events.registry import registry
from mediajira.campaigns.models import Campaign

from .commands import clean_environment, succeed
from .conftest import script_environment
from .shell import Shell
from .snippets import Snippet, readme_section

TUTORIAL = "Five minutes: your own first event"
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


class Reader:
    """Follows the tutorial to the letter; only the broker's address is another one.

    Args:
        folder: where to work, empty but for the wheel.
        shell: the first terminal.
    """

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder = folder
        self.shell = shell
        self.address = ""
        self.output: list[str] = []

    def follow(self, snippets: list[Snippet]) -> Iterator[Snippet]:
        """Do what each block says; hand out the one for a second terminal instead."""
        for snippet in snippets:
            if "second terminal" in snippet.prose:
                yield snippet
            elif snippet.language == "console":
                for command in snippet.commands:
                    self.type(command)
            else:
                snippet.write_into(self.folder)

    def type(self, command: str) -> str:
        """Type one command, with the real address in place of the README's."""
        if ADDRESS.search(command):
            assert self.address, f"no broker was started before: {command}"
            command = ADDRESS.sub(self.address, command)
        self.output.append(self.shell.type(command))
        return self.output[-1]


@contextmanager
def second_terminal(snippet: Snippet, folder: Path) -> Iterator[str]:
    """Run the block's one command with the same ``venv``; hand out what it prints first."""
    (command,) = snippet.commands
    process = subprocess.Popen(
        ["bash", "-c", f". venv/bin/activate && exec {command}"],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_the_tutorial_ends_with_an_invoice_and_never_with_two(wheel: Path, tmp_path: Path) -> None:
    shutil.copy(wheel, tmp_path)
    snippets = readme_section(TUTORIAL)
    with Shell(tmp_path, clean_environment()) as shell:
        reader = Reader(tmp_path, shell)
        following = reader.follow(snippets)
        second = next(following)
        assert ADDRESS.fullmatch(second.answers[0]), second.answers
        with second_terminal(second, tmp_path) as printed:
            assert ADDRESS.fullmatch(printed), printed
            reader.address = printed
            assert not list(following), "the tutorial has more than one second terminal"
            assert reader.output[-1].endswith("Ada"), reader.output[-1]
            again = "python manage.py kafka_consume --group invoices --drain"
            assert again in snippets[-1].commands
            assert "0 messages" in reader.type(again)
            started = time.monotonic()
            assert "1 duplicate" in reader.type(f"{again} --from-beginning")
            assert time.monotonic() - started < 30, "the session's time-out is not the tutorial's"
            assert "CONFWARN" not in "".join(reader.output), reader.output
            count = "from orders.models import Invoice; print('invoices:', Invoice.objects.count())"
            assert reader.type(f'python manage.py shell -c "{count}"').endswith("invoices: 1")


def test_the_first_snippet_declares_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    (snippet,) = readme_section("What it looks like")
    names = {name: getattr(kafka_integration, name) for name in kafka_integration.__all__}
    code = compile(snippet.text, "README.md", "exec", dont_inherit=True)
    with registry.isolated() as declared:
        exec(code, names | {"__name__": "readme", "UUID": UUID, "Campaign": Campaign})
        (publication,) = declared.publications_of(Campaign)
        (handler,) = declared.handlers_of("mail")
    assert publication.topic == handler.topic == "campaign.created.json"
    assert handler.contract is publication.contract
    assert list(handler.contract.model_fields) == ["campaign_id", "name"]


def test_the_plain_producer_snippet_sends(catalogue_topics: None, tmp_path: Path) -> None:
    *_, snippet = readme_section("Without a model, or without a database")
    # Only the last line is not the README's: it lets the test see what Kafka answered.
    text = snippet.text.replace("producer.send_message(", "landed = producer.send_message(")
    script = tmp_path / "script.py"
    script.write_text(f"{text}print(landed)\n")
    landed = succeed(sys.executable, script, cwd=tmp_path, env=script_environment())
    assert re.search(r"topic='campaign.created.json', partition=\d, offset=\d+, error=None", landed)
