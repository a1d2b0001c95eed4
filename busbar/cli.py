"""The front door: `busbar COMMAND`.

Strategy: a command is a file `busbar/commands/NAME.py` with a click object `command`; it is found by its file name and
imported only when it is used (or listed by --help), so that `busbar` starts fast however many there are. Commands do
their own heavy imports inside their functions. What a user can mend ends on standard error as one line for each
mistake, with exit code 2; everything else is a bug and shows its traceback.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Any

import click

from busbar import commands

USER_ERROR = 2


class LazyCommands(click.Group):
    """The group of all commands in `busbar.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_command_name(module.name) for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
def busbar() -> None:
    """Busbar: the gateway between banks and an electricity utility 银电联网网关."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0, or 2 for what the user can mend."""
    try:
        result: Any = busbar.main(args=arguments, prog_name="busbar", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(USER_ERROR)
    except click.UsageError as error:
        _tell(f"{error.format_message()} Try: {error.ctx.command_path if error.ctx else 'busbar'} --help")
        sys.exit(USER_ERROR)
    except click.ClickException as error:
        _tell(error.format_message())
        sys.exit(USER_ERROR)
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        _tell(str(error))
        sys.exit(USER_ERROR)
    sys.exit(result if isinstance(result, int) else 0)


def _command_name(module_name: str) -> str:
    return module_name.replace("_", "-")


def _tell(text: str) -> None:
    for line in text.splitlines():
        click.echo(f"busbar: {line}", err=True)


def _expected_errors() -> tuple[type[Exception], ...]:
    """Errors that say what to do. Imported here, since a command that goes well needs none of them."""
    from busbar.postgresql import PostgresqlError
    from gateway.config import ConfigError
    from gateway.database import DatabaseError
    from gateway.keyring import KeyringError
    from gateway.ledger.cutoff import CutOffRefused
    from gateway.ledger.importing import ImportRefused
    from gateway.ledger.migrate import InstallationMismatch
    from reconciliation.errors import NightError

    refusals = (CutOffRefused, ImportRefused, InstallationMismatch, NightError)
    return (ConfigError, KeyringError, PostgresqlError, DatabaseError, *refusals, OSError)
