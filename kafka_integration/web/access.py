"""Who may see the package's pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch, reverse

from ..conf import settings

View = Callable[..., HttpResponseBase]


def for_staff(view: View) -> View:
    """Let staff in, and everybody where ``KAFKA_ASYNCAPI_PUBLIC`` is true.

    Others are sent to log in, to the admin if the project has one; who is logged in and no staff
    is refused, and so is everybody in a project without ``AuthenticationMiddleware``.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = getattr(request, "user", None)
        if settings.asyncapi_public or (user and user.is_active and user.is_staff):
            return view(request, *args, **kwargs)
        if user is None or user.is_authenticated:
            raise PermissionDenied("This page is for staff. KAFKA_ASYNCAPI_PUBLIC opens it to all.")
        return redirect_to_login(request.get_full_path(), _login())

    return guarded


def _login() -> str | None:
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return None  # the project's LOGIN_URL
