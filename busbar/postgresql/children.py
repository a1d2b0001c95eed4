"""Child processes that do not outlive us.

Strategy: Linux sends a child the signal of its choice when its parent dies (prctl PR_SET_PDEATHSIG), however the
parent died, `kill -9` included. Two rules make that sound. It is asked for *after* the child has changed its account,
because the change clears it. And "parent" means the parent's *thread*: whoever starts a long-lived child must do so
from a thread that lives as long as the child (`postmaster` keeps one for that).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from typing import Any

from busbar.postgresql.account import Account

PR_SET_PDEATHSIG = 1
_EXIT_CODE_PARENT_GONE = 125
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signal_name: str) -> Callable[[], None]:
    """A `preexec_fn` after which the child gets `signal_name` ("SIGINT") when the calling thread's process dies."""
    number = int(signal.Signals[signal_name])
    parent = os.getpid()

    def in_child() -> None:
        if _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(_EXIT_CODE_PARENT_GONE)

    return in_child


def account_and_environment(account: Account) -> dict[str, Any]:
    """The arguments of `subprocess` that run a child as `account`, with nothing of our environment in it.

    PGDATA, PGPORT and the like would change what the server does; a locale that is not installed would stop it.
    """
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    if not account.lent:
        return {"env": environment, "umask": 0o077}
    return {
        "env": environment,
        "umask": 0o077,
        "user": account.user_id,
        "group": account.group_id,
        "extra_groups": [],
    }
