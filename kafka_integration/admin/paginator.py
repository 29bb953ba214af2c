"""Pages of a table that may have millions of rows."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MOST = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # Django: not subscriptable at run time
    """Counts no further than :data:`MOST`, since a whole count reads the whole table."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or :data:`MOST` where there are more."""
        return min(self._counted, MOST)

    @property
    def capped(self) -> bool:
        """Whether there are rows beyond the last page."""
        return self._counted > MOST

    @property
    def most(self) -> int:
        """The number of rows that can be paged through."""
        return MOST

    @cached_property
    def _counted(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the admin pages querysets only
        return rows.order_by().values("pk")[: MOST + 1].count()
