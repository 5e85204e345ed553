"""Every command with its options, its help and its examples. A command's own code is loaded when the command runs.

The file is long, because it is the whole reference of the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchfree.cli.argument_types import PATH, job_part, output_path, percentage, port_number, positive_number, seconds
from batchfree.cli.command_group import COMPLETION_VARIABLE, PROGRAM, SHELLS, command_line, examples
from batchfree.cli.error_messages import explain_errors
from batchfree.cli.shared_options import job_options, server_options, service_options
from batchfree.core.stops import OK

__all__ = ["command_line"]


def complete_command(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The completions of the name of a command."""
    return [name for name in command_line.commands if name.startswith(typed)]


@command_line.command(
    epilog=examples(
        "batchfree run jobs/reviews.yaml",
        "batchfree run jobs/reviews.yaml -n 20 --endpoint embedded",
        "batchfree run jobs/reviews.yaml --until 22:30 --set limits.concurrency=4",
        "batchfree run jobs/reviews.yaml --part 2/8",
    )
)
@job_options
@click.option("-n", "--limit", type=positive_number, metavar="N", help="Answer at most N rows in this run.")
@click.option("-o", "--output", type=output_path, metavar="PATH", help="Write the table to this file.")
@click.option("--retry-failed", is_flag=True, help="Ask failed rows again.")
@click.option(
    "--fail-threshold", type=percentage, default="0%", metavar="N%", help="Exit with 0 if at most N% of the rows fail."
)
@click.option("--fresh", is_flag=True, help="Start anew; earlier progress is kept under another name.")
@click.option("--until", metavar="HH:MM|DURATION", help="Stop at this local time, or after 90s, 15m, 2h or 1h30m.")
@click.option(
    "--part", type=job_part, metavar="K/N", help="Answer only part K of N; other processes answer the others."
)
@click.option("--executor", type=click.Choice(["local", "ray"]), help="Run in this process, or in parts on Ray.")
@click.option("--parts", type=positive_number, metavar="N", help="With --executor ray: the number of parts.")
@click.option("--on-quota", type=click.Choice(["stop", "wait"]), help="What to do when the day's requests are used up.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "plain", "none"]),
    default="auto",
    help="How to show progress; auto is a live view on a terminal and plain lines elsewhere.",
)
@click.option("-q", "--quiet", is_flag=True, help="For cron: print only what somebody should look at.")
@click.option("-v", "--verbose", is_flag=True, help="Print what happens to every request.")
@click.pass_context
def run(context: click.Context, /, **values: Any) -> int:
    """Answer the rows that have no answer yet, then write the table.

    JOB is a YAML file. Run the same command again to continue.
    """
    if values["quiet"] and values["verbose"]:
        context.fail("-q and -v can't be used together")
    from batchfree.cli import arguments, run_command

    return explain_errors(run_command.run, arguments.RunArguments(**values, typed=context.obj))


@command_line.command(
    epilog=examples("batchfree plan jobs/reviews.yaml", "batchfree plan jobs/reviews.yaml --set pack=10")
)
@job_options
def plan(**values: Any) -> int:
    """Show what a run would take: rows, requests, quota, the finishing day.

    Sends no request of the quota. Works without a network from the kept catalogue of models.
    """
    from batchfree.cli import arguments, service_commands

    return explain_errors(service_commands.plan, arguments.JobArguments(**values))


@command_line.command(epilog=examples("batchfree preview jobs/reviews.yaml -n 1"))
@job_options
@click.option(
    "-n", "--rows", type=positive_number, default=3, show_default=True, metavar="N", help="How many rows to show."
)
def preview(**values: Any) -> int:
    """Print the requests of the first rows as JSON; send nothing."""
    from batchfree.cli import arguments, job_commands

    return explain_errors(job_commands.preview, arguments.PreviewArguments(**values))


@command_line.command(epilog=examples("batchfree validate jobs/reviews.yaml"))
@job_options
def validate(**values: Any) -> int:
    """Check the job, its input and its templates; send nothing."""
    from batchfree.cli import arguments, job_commands

    return explain_errors(job_commands.validate, arguments.JobArguments(**values))


@command_line.command(epilog=examples("batchfree status jobs/reviews.yaml"))
@job_options
def status(**values: Any) -> int:
    """Show how far the job is, also while it runs."""
    from batchfree.cli import arguments, job_commands

    return explain_errors(job_commands.status, arguments.JobArguments(**values))


@command_line.command(epilog=examples("batchfree export jobs/reviews.yaml -o reviews.csv"))
@job_options
@click.option("-o", "--output", type=output_path, metavar="PATH", help="Write this file; its suffix names the format.")
def export(**values: Any) -> int:
    """Write the table with the answers so far."""
    from batchfree.cli import arguments, job_commands

    return explain_errors(job_commands.export, arguments.JobArguments(**values))


@command_line.command(epilog=examples("batchfree report jobs/reviews.yaml", "batchfree report job.yaml -o page.html"))
@job_options
@click.option(
    "-o", "--output", "page", type=PATH, metavar="PATH.html", help="Write this file; default: beside the job's output."
)
def report(**values: Any) -> int:
    """Write a page that says how far the answers can be trusted.

    It is one HTML file that loads nothing: accuracy, agreement, models, failures, and the rows themselves.
    """
    from batchfree.cli import arguments, job_commands

    return explain_errors(job_commands.report, arguments.ReportArguments(**values))


@command_line.command(epilog=examples("batchfree models --requires vision,tools", "batchfree models jobs/reviews.yaml"))
@service_options
@click.option(
    "--requires",
    default="",
    metavar="ABILITY,…",
    help="vision, audio, tools, structured_outputs, json, reasoning",
)
def models(**values: Any) -> int:
    """List the free models, and say why a model may not answer.

    JOB names the service to ask and the rules for models.
    """
    from batchfree.cli import arguments, service_commands

    return explain_errors(service_commands.models, arguments.ModelsArguments(**values))


@command_line.command(epilog=examples("batchfree quota", "batchfree quota jobs/reviews.yaml --json"))
@service_options
def quota(**values: Any) -> int:
    """Show the requests left in this minute and this UTC day.

    JOB names the service and the account.
    """
    from batchfree.cli import arguments, service_commands

    return explain_errors(service_commands.quota, arguments.Arguments(**values))


@command_line.command(epilog=examples("batchfree init my-first-job"))
@click.argument("directory", type=PATH, default=".", metavar="[DIR]")
def init(directory: Path) -> int:
    """Write a commented first job with sample data."""
    from batchfree.cli import setup_commands

    return explain_errors(setup_commands.init, directory)


@command_line.command(epilog=examples("batchfree schema > job.schema.json"))
@click.option("--json", is_flag=True, help="Changes nothing: the output is always JSON.")
def schema(json: bool) -> int:
    """Print the JSON Schema of job files, for editors."""
    from batchfree.cli import setup_commands

    return explain_errors(lambda _: setup_commands.schema(), None)


class EmulateCommand(click.Command):
    """`emulate`. Its help also lists everything that a scenario can hold, which is slow to load."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples, then the reference of scenarios."""
        from batchfree.emulator.scenario.handbook import handbook

        super().format_epilog(ctx, formatter)
        formatter.write(f"\n{handbook()}")


@command_line.command(
    cls=EmulateCommand, epilog=examples("batchfree emulate --port 8765", "batchfree emulate --scenario bad-day")
)
@click.option("--port", type=port_number, default=8765, show_default=True, metavar="N", help="0 takes any free port.")
@click.option("--scenario", metavar="FILE", help="A scenario file, or the name of a scenario of batchfree's own.")
@click.option("--book", type=PATH, metavar="FILE", help="Append one JSON line per request to this file.")
@click.option("--require-key", is_flag=True, help="Refuse requests without an API key, as OpenRouter does.")
def emulate(port: int, scenario: str | None, book: Path | None, require_key: bool) -> int:
    """Serve an emulation of OpenRouter on this machine."""
    from batchfree.cli import setup_commands

    return setup_commands.emulate(port, scenario, book, require_key=require_key)


@command_line.command(
    epilog=examples("batchfree serve", "batchfree serve jobs/reviews.yaml --port 9000 --max-wait 30s")
)
@server_options
@click.option("--port", type=port_number, default=8766, show_default=True, metavar="N", help="0 takes any free port.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen on this address; others than this machine's own need BATCHFREE_SERVE_KEY.",
)
@click.option(
    "--max-wait",
    type=seconds,
    default="65s",
    show_default=True,
    metavar="DURATION",
    help="How long a call waits for a request of the quota, such as 30s or 2m.",
)
def serve(**values: Any) -> int:
    """Serve the free models to any OpenAI client on this machine.

    Chat, files and batches, under http://127.0.0.1:8766/api/v1. JOB names the service, the rules for models and limits.
    """
    from batchfree.cli import arguments, gateway_command

    return explain_errors(gateway_command.serve, arguments.ServeArguments(**values))


@command_line.command(
    epilog=examples(
        'eval "$(batchfree completion bash)"     # in ~/.bashrc',
        'eval "$(batchfree completion zsh)"      # in ~/.zshrc',
        "batchfree completion fish | source      # in ~/.config/fish/config.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="bash|zsh|fish")
def completion(shell: str) -> int:
    """Print a shell's script for completing commands and options."""
    from click.shell_completion import shell_complete

    return shell_complete(command_line, {}, PROGRAM, COMPLETION_VARIABLE, f"{shell}_source")


@command_line.command("help", epilog=examples("batchfree help", "batchfree help run"))
@click.argument("command", required=False, metavar="[COMMAND]", shell_complete=complete_command)
@click.pass_context
def help_(context: click.Context, /, command: str | None) -> int:
    """Print this help, or the help of a command."""
    whole = context.find_root()
    if command is None:
        click.echo(whole.get_help())
        return OK
    name, found, _ = command_line.resolve_command(whole, [command])
    if found is not None:
        with found.make_context(name, [], parent=whole, resilient_parsing=True) as of_command:
            click.echo(found.get_help(of_command))
    return OK
