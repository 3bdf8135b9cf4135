"""`make demo`: one command from a hung kernel to a proven vmcore. Owns the last screen; options.py has the options."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from lab.demo import options
from lab.demo.proof import NotProven
from lab.demo.results import Results
from lab.demo.story import DemoFailed, Outcome, Story
from lab.demo.timeline import Timeline
from lab.guest.power import QemuFailed
from lab.image import ImageBuildFailed
from lab.image.apt_sources import NoDebianSources


def main() -> int:
    """0 when everything held; 1 with the reason when a step did not."""
    given = options.parse()
    console = Console(highlight=False, soft_wrap=True)
    timeline = Timeline(console)
    results = Results(given.results)
    with tempfile.TemporaryDirectory(prefix="hangdump-demo-") as scratch:
        try:
            outcome = Story(timeline, results, Path(scratch), given.variant).run()
        except (DemoFailed, NotProven, ImageBuildFailed, NoDebianSources, QemuFailed, TimeoutError) as error:
            console.print(f"\n[bold red]The demo failed:[/] {error}", soft_wrap=True)
            console.print(f"Look at {results.folder}/console.log and {results.folder}/executions/.")
            return 1
    summarize(console, outcome, results, total_seconds=timeline.elapsed_seconds)
    return 0


def summarize(console: Console, outcome: Outcome, results: Results, *, total_seconds: float) -> None:
    """The last screen."""
    table = Table("what", Column("value", overflow="fold"), show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("vmcore", outcome.key)
    table.add_row("size", f"{outcome.size_bytes / 1e6:.1f} MB, kernel log {outcome.dmesg_bytes / 1e3:.1f} kB")
    table.add_row("guest", f"{outcome.variant}; {outcome.observed.reserved_mib} MiB reserved for the crash kernel")
    table.add_row("kernel", outcome.proof.kernel)
    table.add_row("panic", f"[bold]{outcome.proof.panic_line}[/], at {outcome.proof.crashed_at:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("verdict", f"{outcome.verdict['verdict']}: {outcome.verdict['reason']}")
    durations = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    table.add_row("hung by", f"[bold]{outcome.culprit.task}[/] on CPU {outcome.culprit.cpu}, as the report says")
    table.add_row("durations", f"{durations}; {total_seconds:.0f} s in all")
    table.add_row("files", ", ".join(sorted(path.name for path in results.folder.iterdir())))
    console.print("\n[bold green]The vmcore of the hung kernel is in the bucket, and it opens.[/]")
    console.print(table)
    console.print(f"\nRead what the kernel was doing: [bold]{outcome.report}[/]")


if __name__ == "__main__":
    sys.exit(main())
