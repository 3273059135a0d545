"""A click group that imports a command when it runs, and speaks our errors."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from gex_pipeline import __version__
from gex_pipeline.errors import GexError

PIPE_CLOSED: Final = 141  # what a shell shows for a process that SIGPIPE ended


class LazyCommand(NamedTuple):
    """Where a command lives, and the line about it in `gex --help`, so that help imports none."""

    module: str
    attribute: str
    summary: str


class LazyGroup(click.Group):
    """The group behind `gex`."""

    def __init__(self, name: str, lazy_commands: Mapping[str, LazyCommand], help: str) -> None:
        super().__init__(name, help=help, context_settings={"help_option_names": ["-h", "--help"]})
        self.lazy_commands = lazy_commands
        self.params.append(_version_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of registration."""
        return list(self.lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is none of that name."""
        lazy = self.lazy_commands.get(cmd_name)
        if lazy is None:
            return None
        command = getattr(import_module(lazy.module), lazy.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.module}.{lazy.attribute} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that does not exist is answered with a close one."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' summaries without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy_commands.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the command line; help is printed here."""
        with quiet_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; one of our errors becomes one line and its own exit code."""
        try:
            with quiet_pipe():
                return super().invoke(ctx)
        except GexError as error:
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            ctx.exit(error.exit_code)


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End the process quietly when the reader of its output has gone, as with `| head`."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or the rest of the buffer would raise at exit
        raise SystemExit(PIPE_CLOSED) from None


def _version_option() -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001 # click calls it
        if value and not ctx.resilient_parsing:
            click.echo(f"gex {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )
