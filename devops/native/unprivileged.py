"""Servers that refuse to run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .service import Service


class UnprivilegedService(Service):
    """Runs as Debian's user ``postgres`` where we are root, and as ourselves elsewhere."""

    @property
    def user(self) -> str | None:
        """Whom to run as; None means as ourselves."""
        return "postgres" if os.geteuid() == 0 else None

    def make_folder(self) -> Path:
        """As root, elsewhere: the repository may lie where ``postgres`` cannot go."""
        if self.user is None:
            return super().make_folder()
        folder = Path(tempfile.mkdtemp(prefix="mediajira-native-", dir="/var/tmp"))
        shutil.chown(folder, self.user, self.user)
        return folder

    def write_secret(self, path: Path, text: str) -> None:
        """Write a file that the server alone may read."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        if self.user is not None:
            shutil.chown(path, self.user, self.user)
