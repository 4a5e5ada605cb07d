"""Unzipped deployment packages, one folder per content: shared by all workers that run the same code."""

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path


class InvalidPackageError(Exception):
    """An archive that cannot be unzipped; the message says which and why."""


class PackageStore:
    """Folders below ``root``, named by the SHA-256 of what was unzipped into them, and never changed afterwards."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def unzipped(self, archives: Sequence[bytes]) -> Path:
        """A folder with the contents of ``archives`` (zip files), a later one over an earlier one, as Lambda merges
        layers into /opt. Safe to call from several threads and processes; raises InvalidPackageError.
        """
        digest = hashlib.sha256(b"".join(hashlib.sha256(archive).digest() for archive in archives)).hexdigest()
        folder = self._root / digest[:32]
        if folder.exists():
            return folder
        with tempfile.TemporaryDirectory(prefix="unzip-", dir=self._root) as scratch:
            filled = Path(scratch) / "package"
            filled.mkdir()
            for archive in archives:
                _unzip(archive, filled)
            try:
                filled.rename(folder)
            except OSError:
                if not folder.exists():  # else another thread was faster, and its folder has the same content
                    raise
        return folder


def _unzip(archive: bytes, folder: Path) -> None:
    """Like ``unzip``: keeps the permission bits. ``ZipFile.extract`` itself keeps names inside ``folder``."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            for member in package.infolist():
                target = Path(package.extract(member, folder))
                permissions = (member.external_attr >> 16) & 0o777
                if permissions and not member.is_dir():
                    target.chmod(permissions | 0o400)
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidPackageError(
            f"A deployment package of {len(archive)} bytes cannot be unzipped: {error}"
        ) from error
