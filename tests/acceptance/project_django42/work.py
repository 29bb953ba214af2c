"""A day in the newsroom: two articles are written, one of them is published."""

from __future__ import annotations

import django

django.setup()

from newsroom.models import Article  # noqa: E402  # models need a set-up Django

Article.objects.create(headline="Still a draft")
article = Article.objects.create(headline="Rain at last")
article.publish()
article.save()
article.save()  # it is published already: no second event
print(article.pk)  # noqa: T201  # the test reads it
