"""What ``manage.py kafka_outbox`` does and prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from ..conf import settings
from ..inbox import purge as inbox
from ..outbox import purge as outbox
from ..outbox.audit import Audit
from ..outbox.backfill import backfill, publication_for
from ..outbox.backlog_report import backlog_report
from ..outbox.diagnosis import Kafka, ask_kafka, diagnose
from ..outbox.erasure import Erasure
from ..outbox.manifests import decide
from ..outbox.remedies import culprits, discard, retry, unsent
from ..outbox.replay import forecast, replay
from ..outbox.reshard import reshard
from ..outbox.sessions import sessions
from ..readable import counted
from .console import Console
from .long_work import LongWork
from .outbox_parser import selection
from .outbox_stats import OutboxStats

_PURGED = {
    "events": "events deleted",
    "kept": "older ones kept, which are not out or went out later",
    "records": "inbox records deleted",
}


class OutboxConsole(Console):
    """Runs the sub-commands, each of which returns the error to end with, or None."""

    def __init__(self, out: OutputWrapper, err: OutputWrapper, options: Mapping[str, Any]) -> None:
        super().__init__(out, err, options)
        self._chosen = selection(options)

    def stats(self) -> CommandError | None:
        """Show what waits, and why."""
        report, found = backlog_report(self._using), sessions(self._using)
        kafka = Kafka() if self._options["no_kafka"] else ask_kafka(report)
        now = timezone.now()
        stats = OutboxStats(report, found, diagnose(report, found, kafka, now), now)
        if self._options["json"]:
            self._out.write(json.dumps(stats.as_json(), indent=2))
        else:
            stats.print(self._out, color=not self._options["no_color"])
        return None

    def retry(self) -> CommandError | None:
        """Release held keys."""
        self._require_some("all_held")
        work, step = self._do("releasing", retry(self._chosen, self._using), "keys")
        self._tell(f"Released {counted(step.done, 'held key')}.", released=step.done)
        return self._unless(step.done, "No key that is meant is held.") or self._ending(work)

    def discard(self) -> CommandError | None:
        """Give unsent events up."""
        self._require_some("all_held")
        found = culprits if self._options["all_held"] else unsent
        rows = found(self._chosen, self._using)
        number = rows.count()
        if number:
            self._ask(f"{counted(number, 'event')} will never be sent to Kafka.")
        work, step = self._do("discarding", discard(rows))
        self._tell(f"Discarded {counted(step.done, 'event')} unsent.", discarded=step.done)
        return self._unless(step.done, "No event that is meant is unsent.") or self._ending(work)

    def replay(self) -> CommandError | None:
        """Send events again."""
        self._require_some()
        if self._options["dry_run"]:
            return self._forecast()
        as_new: bool = self._options["as_new"]
        steps = replay(self._chosen, self._using, as_new=as_new, **self._size)
        work, step = self._do("replaying", steps)
        self._tell(
            f"Queued {counted(step.done, 'event')} again, left {step.left:,} alone that wait or "
            "are erased.",
            queued=step.done,
            left=step.left,
            last_id=step.last,
            end_id=step.end,
        )
        nothing = self._unless(step.done + step.left, "No event matches.")
        # Without an end, what was stored anew would be stored anew once more.
        go_on = f"Go on with --from-id {(step.last or 0) + 1} --to-id {step.end or 0}."
        return nothing or self._ending(work, go_on)

    def backfill(self) -> CommandError | None:
        """Publish a model's rows."""
        model, after = self._options["model"], self._options["after_pk"]
        publication = publication_for(model, self._options["topic"])
        try:
            after = None if after is None else model._meta.pk.to_python(after)
        except ValidationError as error:
            raise CommandError(f"--after-pk: {' '.join(error.messages)}", returncode=2) from error
        steps = backfill(publication, model, self._using, after=after, **self._size)
        work, step = self._do("publishing", steps, "rows")
        self._tell(
            f"Published {counted(step.done, 'row')} of {model._meta.label} to "
            f"{publication.topic}, left {step.left:,} alone that do not meet '{publication.when}'.",
            published=step.done,
            left=step.left,
            last_pk=None if step.last is None else str(step.last),
        )
        return self._ending(work, f"Go on with --after-pk {step.last}.")

    def purge(self) -> CommandError | None:
        """Delete what is old."""
        only: str | None = self._options["only"]
        done: dict[str, int] = {}
        work: LongWork | None = None
        if only != "inbox":
            kept = self._kept("older_than", settings.outbox_retention_days)
            work, step = self._do("purging", outbox.purge(kept, self._using, **self._size))
            done |= {"events": step.done, "kept": step.left}
        if only != "outbox" and not (work and work.stopped):
            kept = self._kept("inbox_older_than", settings.inbox_retention_days)
            steps = inbox.purge(kept, self._using, **self._size)
            work, step = self._do("purging", steps, "inbox records")
            done["records"] = step.done
        self._tell(", ".join(f"{n:,} {_PURGED[name]}" for name, n in done.items()) + ".", **done)
        return self._ending(work) if work else None

    def erase(self) -> CommandError | None:
        """Blank payloads."""
        self._ask("Payloads are blanked in outbox and inbox. This cannot be undone.")
        work, step = self._do("erasing", Erasure(self._chosen, self._using).run(), "rows")
        self._tell(
            f"Erased {counted(step.done, 'row')}. Kafka's own copy goes with the topic's "
            "retention; in a compacted topic, send a tombstone.",
            erased=step.done,
        )
        return self._unless(step.done, "Nothing matches.") or self._ending(work)

    def audit(self) -> CommandError | None:
        """Compare outbox and topic."""
        audit = Audit(self._options["topic"], self._using)
        found = []
        for difference in audit.run():
            if self._options["json"]:
                found.append(vars(difference))
            else:
                self._out.write(str(difference))
        names = ("messages", "deliveries", "expired", "compacted", "forgotten", "differences")
        numbers = {name: getattr(audit, name) for name in names}
        self._tell(
            f"{audit.topic}: {audit.deliveries:,} deliveries and {audit.messages:,} messages "
            f"compared, {counted(audit.differences, 'difference')}. Explained: {audit.expired:,} "
            f"expired, {audit.compacted:,} compacted, {audit.forgotten:,} older than the outbox "
            "remembers.",
            topic=audit.topic,
            **numbers,
            found=found,
        )
        return self._unless(
            not audit.differences, f"Outbox and topic {audit.topic} are not the same."
        )

    def reshard(self) -> CommandError | None:
        """Change the number of shards."""
        shards = self._options["shards"]
        before = reshard(shards, self._using)
        self._tell(
            f"The outbox has {counted(shards, 'shard')} now; it had {before:,}. Relays that run "
            "share them out anew within seconds.",
            shards=shards,
            before=before,
        )
        return None

    def settle(self) -> CommandError | None:
        """Say what became of a batch in doubt."""
        shard, sent = self._options["shard"], bool(self._options["sent"])
        outcome = "never be sent again" if sent else "be sent, even if they are out already"
        self._ask(f"The events of the last batch of shard {shard} will {outcome}.")
        events = decide(self._using, shard, sent=sent)
        if events is None:
            return CommandError(f"Shard {shard} has no batch.")
        self._tell(
            f"Settled the last batch of shard {shard}: {counted(events, 'event')} taken as "
            f"{'published' if sent else 'unsent'}.",
            shard=shard,
            events=events,
            sent=sent,
        )
        return None

    @property
    def _size(self) -> dict[str, int]:
        return {"batch_size": self._options["batch_size"]}

    def _kept(self, option: str, days: float) -> timedelta:
        given: timedelta | None = self._options[option]
        return timedelta(days=days) if given is None else given

    def _forecast(self) -> CommandError | None:
        found = forecast(self._chosen, self._using)
        self._tell(
            f"Would queue {counted(found.events, 'event')} again, and leave {found.waiting:,} "
            f"alone that wait anyway and {found.erased:,} that are erased.",
            **vars(found),
        )
        return self._unless(found.events + found.waiting + found.erased, "No event matches.")

    def _require_some(self, *flags: str) -> None:
        if not self._chosen and not any(self._options[flag] for flag in flags):
            raise CommandError("Say which events are meant; --help lists how.", returncode=2)
