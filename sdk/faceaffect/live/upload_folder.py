"""The folder of uploads: private, and gone with the process that made it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from faceaffect.system.private_folder import make_private_folder

_PREFIX: Final = "faceaffect-uploads-"


class UploadFolder:
    """A folder that only this user can read; its subfolders are named by the server."""

    def __init__(self, root: Path | None = None) -> None:
        """Create it below `root`, by default the system's folder for temporary files.

        What servers that were killed have left there is deleted.

        Raises:
            OSError: It cannot be created, or is another user's.
        """
        root = root or Path(tempfile.gettempdir())
        _delete_orphans(root)
        self.path = root / f"{_PREFIX}{os.getpid()}-{os.urandom(6).hex()}"
        make_private_folder(self.path)

    def create(self, name: str) -> Path:
        """Create and return a subfolder."""
        folder = self.path / name
        folder.mkdir(mode=0o700)
        return folder

    def delete(self, name: str) -> None:
        """Delete a subfolder and what it holds."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _delete_orphans(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError):
            status = folder.lstat()
            is_ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
            if process.isdecimal() and is_ours and not _is_running(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
