"""The account that the database server runs as, and the folders that it can be trusted with.

Strategy: a normal user runs the server as himself. PostgreSQL refuses to run as root, so root lends it the account
`nobody` (present on every Debian). That account can't enter a checkout below a folder that only root may enter, so
as root everything that the server touches lives in a *state folder* outside the checkout:

    /var/lib/busbar                 root 0711   passable, not listable
      postgresql-<version>-<digest> root 0755   the server's files, written by root alone
      data                          root 0711
        <hash of the data folder>   nobody 0700 one cluster

Rule: a folder that was there before is used only if it is a real folder (no link) of the owner that we expect and
nobody else may write to it. /var/tmp, the second choice, is open to everybody, so this check is what keeps a stranger
from planting a server there.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from busbar.postgresql.errors import PostgresqlError

UNPRIVILEGED_ACCOUNT = "nobody"
STATE_FOLDERS = (Path("/var/lib/busbar"), Path("/var/tmp/busbar-root"))  # noqa: S108 - trust is checked below


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. `lent` says that it is another account than the one which runs this process."""

    user_id: int
    group_id: int
    lent: bool

    @classmethod
    def current(cls) -> Account:
        """The account of this process, or `nobody` if that is root. Raises `PostgresqlError` without that account."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), lent=False)
        try:
            entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
        except KeyError:
            raise PostgresqlError(
                f"PostgreSQL refuses to run as root and there is no account {UNPRIVILEGED_ACCOUNT}; "
                "run as a normal user, or name a server in BUSBAR_DATABASE_DSN"
            ) from None
        return cls(entry.pw_uid, entry.pw_gid, lent=True)

    def own(self, path: Path) -> None:
        """Give `path` to this account, where it is not this process's own anyway."""
        if self.lent:
            os.chown(path, self.user_id, self.group_id, follow_symlinks=False)


def trusted_folder(path: Path, user_id: int, mode: int) -> Path:
    """Make `path` (or check the one that is there) as a folder of `user_id` with `mode`; the parent must exist.

    Raises `PostgresqlError` if it is a link, another account's, or open for others to write.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if os.geteuid() == 0:
            os.chown(path, user_id, -1)
        path.chmod(mode)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user_id or found.st_mode & 0o022:
        raise PostgresqlError(
            f"{path} is not a folder that only its owner (user id {user_id}) can write to, so it is not safe to use; "
            "look who made it, then remove it"
        )
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)
    return path


def state_folder(choices: tuple[Path, ...] = STATE_FOLDERS) -> Path:
    """Root's folder outside the checkout: the first of `choices` that can be made or trusted."""
    reasons = []
    for path in choices:
        try:
            return trusted_folder(path, user_id=0, mode=0o711)
        except (OSError, PostgresqlError) as error:
            reasons.append(str(error))
    raise PostgresqlError(f"no folder for the database server outside the checkout: {'; '.join(reasons)}")
