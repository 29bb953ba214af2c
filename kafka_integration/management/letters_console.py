"""What ``manage.py kafka_dead_letters`` does and prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from ..events.registry import registry
from ..inbox.advice import advice
from ..inbox.redrive import discard, redrive, redrive_here, rehearse_each, require_handlers
from ..inbox.selection import letter
from ..models import InboxStatus
from ..models.inbox import InboxRecordQuerySet
from ..readable import counted
from .console import Console, page
from .dry_run_report import DryRunReport
from .letters_page import as_json, print_letter, print_list
from .letters_parser import selection

_NONE = "No dead letter matches; 'list' shows those that there are."


class LettersConsole(Console):
    """Runs the sub-commands, each of which returns the error to end with, or None."""

    def __init__(self, out: OutputWrapper, err: OutputWrapper, options: Mapping[str, Any]) -> None:
        super().__init__(out, err, options)
        self._chosen = selection(options)

    def list(self) -> CommandError | None:
        """List letters, the newest first."""
        statuses, limit = self._options["status"] or [InboxStatus.DEAD], self._options["limit"]
        found = self._chosen.records(self._using, statuses).newest(limit + 1)
        shown, more = found[:limit], len(found) > limit
        if self._options["json"]:
            data = {"letters": [as_json(record) for record in shown], "more": more}
            self._out.write(json.dumps(data, indent=2))
        elif not shown:
            self._out.write("No letter matches.")
        else:
            print_list(self._page(), shown, timezone.now(), statuses=statuses != [InboxStatus.DEAD])
            if more:
                self._out.write(f"There are more than these {limit:,}: filter, or raise --limit.")
        return None

    def show(self) -> CommandError | None:
        """Show one letter."""
        record = letter(self._options["number"], self._using)
        known = record.group in registry.groups()
        steps = advice(record.pk, record.status, record.group, is_handled_here=known)
        if self._options["json"]:
            next_steps = [vars(step) for step in steps]
            data = as_json(record, whole=True) | {"next": next_steps}
            self._out.write(json.dumps(data, indent=2))
        else:
            print_letter(self._page(), record, steps)
        return None

    def redrive(self) -> CommandError | None:
        """Let the groups handle letters again."""
        letters = self._dead()
        if self._options["dry_run"]:
            return self._rehearse(letters)
        counts = require_handlers(letters)
        number = sum(counts.values())
        if not number:
            return CommandError(_NONE)
        groups = ", ".join(counts)
        where = "here, now" if self._options["now"] else "again"
        self._ask(f"{counted(number, 'dead letter')} will be handled {where}, in group {groups}.")
        return self._redrive_here(letters) if self._options["now"] else self._hand_on(letters)

    def discard(self) -> CommandError | None:
        """Give letters up."""
        letters = self._dead()
        number = letters.count()
        if not number:
            return CommandError(_NONE)
        self._ask(
            f"{counted(number, 'dead letter')} will never be handled in "
            f"{', '.join(letters.count_by_group())}. This cannot be undone."
        )
        work, step = self._do("discarding", discard(letters, **self._size), "letters")
        self._tell(f"Discarded {counted(step.done, 'dead letter')}.", discarded=step.done)
        return self._ending(work)

    def _dead(self) -> InboxRecordQuerySet:
        if not self._chosen and not self._options["all"]:
            raise CommandError("Say which letters are meant; --help lists how.", returncode=2)
        return self._chosen.records(self._using)

    def _hand_on(self, letters: InboxRecordQuerySet) -> CommandError | None:
        groups = require_handlers(letters)
        work, step = self._do("redriving", redrive(letters, **self._size), "letters")
        commands = ", ".join(f"kafka_consume --group {group}" for group in groups)
        self._tell(
            f"Handed {counted(step.done, 'dead letter')} on to {commands}, which handles what "
            "it is given within a second or two while it runs. Its log says how it went.",
            redriven=step.done,
            groups=groups,
        )
        return self._ending(work)

    def _redrive_here(self, letters: InboxRecordQuerySet) -> CommandError | None:
        work, step = self._do("handling", redrive_here(letters), "letters")
        self._tell(
            f"Handled {counted(step.done, 'dead letter')}; {step.left:,} failed again.",
            handled=step.done,
            failed=step.left,
        )
        failed = self._unless(not step.left, "What failed is still dead: 'list' shows why.")
        return self._ending(work) or failed

    def _rehearse(self, letters: InboxRecordQuerySet) -> CommandError | None:
        report = DryRunReport()
        steps = rehearse_each(letters, report.add, self._options["timeout"])
        work, _ = self._do("trying", steps, "letters")
        if not report.tried:
            return self._ending(work) or CommandError(_NONE)
        if self._options["json"]:
            self._out.write(json.dumps(report.as_json(), indent=2))
        else:
            report.print(self._page())
        bad = self._unless(not report.bad, f"{report.bad:,} of {report.tried:,} would not go well.")
        return self._ending(work) or bad

    @property
    def _size(self) -> dict[str, int]:
        return {"batch_size": self._options["batch_size"]}

    def _page(self) -> Any:
        return page(self._out, color=not self._options["no_color"])
