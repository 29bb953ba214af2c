"""What the newsroom publishes and handles."""

from __future__ import annotations

from uuid import UUID

from kafka_integration import Event, EventData, becomes, handles, publishes

from .models import Article, Edition


class ArticlePublished(EventData):
    """An article reached its readers."""

    article_id: UUID
    headline: str


publishes(
    Article, ArticlePublished, topic="article.published.json", when=becomes(state="published")
)


@handles("article.published.json", ArticlePublished, group="printing")
def print_edition(event: Event[ArticlePublished]) -> None:
    """Write one edition."""
    Edition.objects.create(article_id=event.data.article_id, headline=event.data.headline)
