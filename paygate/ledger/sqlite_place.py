"""Where a ledger's file lies and who else uses it, as far as the machine tells. Nothing here opens the file.

Opening a file and closing it again would drop every lock this process holds on it: that is how POSIX locks work.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from pathlib import Path

from .row import LedgerError

MOUNTS = Path("/proc/self/mounts")
LOCKS = Path("/proc/locks")
_NETWORK = re.compile(r"nfs\d?|cifs|smb3|smbfs|ncpfs|afs|ceph|lustre|glusterfs|beegfs|gpfs|9p|davfs|orangefs|pvfs2"
                      r"|fuse\.(sshfs|s3fs|gcsfuse|goofys|rclone|mount-s3|glusterfs|ceph(-fuse)?|davfs2?|curlftpfs"
                      r"|juicefs|seaweedfs|blobfuse2?|smbnetfs)|fuse_mount_s3")
_SHARED = "1073741826"
"""Where SQLite's shared lock begins in a database file: a connection in WAL mode holds it for as long as it is open."""
_FAULTY = ((3, 7, 0), (3, 51, 2))
"""Versions whose write-ahead log can, rarely, be corrupted by two connections that write or checkpoint at once."""

_log = logging.getLogger("paygate.ledger")
_warned: set[str] = set()


def check_local(path: Path) -> None:
    """Refuse a network file system, where neither locks nor the shared memory of the log can be relied on.

    Raises: LedgerError.
    """
    try:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return  # This system does not tell.
    folder, longest, kind = os.path.realpath(path.parent), "", ""
    for line in mounts:
        _, where, fstype, *_ = line.split(" ")
        where = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), where)
        if (folder == where or folder.startswith(where.rstrip("/") + "/")) and len(where) >= len(longest):
            longest, kind = where, fstype
    if _NETWORK.fullmatch(kind):
        raise LedgerError(f"{path.name} would lie on a network file system ({kind}); use a local disk, or PostgreSQL")


def shared_locks(inode: int | None = None) -> list[int] | None:
    """Process ids that hold SQLite's shared lock on a file, or on any file; None where this system does not tell."""
    try:
        lines = LOCKS.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if " POSIX " in line]
    return [int(f[4]) for f in found if len(f) > 6 and f[6] == _SHARED and f[4].isdigit()
            and (inode is None or f[5].endswith(f":{inode}"))]


def warn_of_the_log(path: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Warn, once, where another process has the same file open and this SQLite's log can be corrupted by that."""
    if not is_faulty(version) or str(path) in _warned:
        return False
    if not any(pid not in (0, os.getpid()) for pid in shared_locks(path.stat().st_ino) or ()):
        return False
    _warned.add(str(path))
    _log.warning("SQLite %s can corrupt the write-ahead log of %s, rarely, when two processes write at once: "
                 "use SQLite 3.51.3 or later, one process, or PostgreSQL", ".".join(map(str, version)), path.name)
    return True


def is_faulty(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the fault of the write-ahead log."""
    return _FAULTY[0] <= version <= _FAULTY[1]
