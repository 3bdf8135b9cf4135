"""The last screen of the demo."""

from rich.console import Console
from rich.markup import escape

from lab.demo.results import Results
from lab.demo.story import Outcome


def summarize(console: Console, outcome: Outcome, results: Results, *, total_seconds: float) -> None:
    """One line a fact, never folded: a key of S3 is for copying, and a pipe has no width."""
    durations = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    facts = {
        "vmcore": escape(outcome.key),
        "size": f"{outcome.size_bytes / 1e6:.1f} MB, kernel log {outcome.dmesg_bytes / 1e3:.1f} kB",
        "guest": f"{outcome.variant}; {outcome.observed.reserved_mib} MiB reserved for the crash kernel",
        "kernel": escape(outcome.proof.kernel),
        "panic": f"[bold]{escape(outcome.proof.panic_line)}[/], at {outcome.proof.crashed_at:%Y-%m-%d %H:%M:%S} UTC",
        "verdict": escape(f"{outcome.verdict['verdict']}: {outcome.verdict['reason']}"),
        "hung by": f"[bold]{escape(outcome.culprit.task)}[/] on CPU {outcome.culprit.cpu}, as the report says",
        "durations": f"{durations}; {total_seconds:.0f} s in all",
        "files": f"{escape(str(results.folder))}/: {escape(', '.join(results.files))}",
    }
    console.print("\n[bold green]The vmcore of the hung kernel is in the bucket, and it opens.[/]")
    for name, value in facts.items():
        console.print(f"{name:<11}{value}", soft_wrap=True)
    console.print(f"\nRead what the kernel was doing: [bold]{escape(str(outcome.report))}[/]", soft_wrap=True)
