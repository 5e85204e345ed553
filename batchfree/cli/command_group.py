"""The group of all commands, with the help that `batchfree` alone prints. `commands` adds the commands."""

from __future__ import annotations

import click

from batchfree.core.stops import OK
from batchfree.core.version import __version__

EPILOG = """\b
Examples:
  batchfree init my-job
  batchfree run my-job/job.yaml --endpoint embedded

\b
Exit codes:
  0         every row is answered, or as many rows as --limit allows
  1         finished, but some rows failed for good
  2         the command line, job, input or output is wrong; nothing was sent
  3         a person is needed: key, credits, a charge, privacy settings,
            no suitable model, full disk or memory
  70        a bug in batchfree
  75        rows are pending and nothing is lost: run the command again later
  130, 143  interrupted; the answers in flight were recorded
"""

PROGRAM = "batchfree"
SHELLS = ("bash", "zsh", "fish")
COMPLETION_VARIABLE = "_BATCHFREE_COMPLETE"
"""The environment variable through which the shell's completion script asks for completions."""


def examples(*lines: str) -> str:
    """The examples at the end of a help text, one per line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class CommandGroup(click.Group):
    """All commands. The help lists them in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="batchfree %(version)s", help="Print the version.")
@click.pass_context
def command_line(context: click.Context) -> int:
    """Run whole datasets through free language models."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return OK
