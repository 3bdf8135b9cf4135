"""The last screen of the demo."""

from rich.console import Console
from rich.markup import escape

from lab.demo.drill_story import DrillOutcome
from lab.demo.results import Results
from lab.demo.story import Outcome


def summarize(console: Console, outcome: Outcome | DrillOutcome, results: Results, *, total_seconds: float) -> None:
    """One line a fact, never folded: a key of S3 is for copying, and a pipe has no width."""
    if isinstance(outcome, DrillOutcome):
        whose, facts = "the twin", _facts_of_drill(outcome)
    else:
        whose, facts = "the hung kernel", _facts(outcome)
    console.print(f"\n[bold green]The vmcore of {whose} is in the bucket, and it opens.[/]")
    for name, value in (facts | _facts_of_run(outcome, results, total_seconds)).items():
        console.print(f"{name:<11}{value}", soft_wrap=True)
    console.print(f"\nRead what the kernel was doing: [bold]{escape(str(outcome.report))}[/]", soft_wrap=True)


def _facts(outcome: Outcome) -> dict[str, str]:
    return {
        "vmcore": escape(outcome.key),
        "size": f"{outcome.size_bytes / 1e6:.1f} MB, kernel log {outcome.dmesg_bytes / 1e3:.1f} kB",
        "guest": f"{outcome.variant}; {outcome.observed.reserved_mib} MiB reserved for the crash kernel",
        **_facts_of_dump(outcome),
        "verdict": escape(f"{outcome.verdict['verdict']}: {outcome.verdict['reason']}"),
    }


def _facts_of_drill(outcome: DrillOutcome) -> dict[str, str]:
    drill = outcome.drill
    phases = ", ".join(f"{name} {seconds} s" for name, seconds in drill["seconds"].items())
    return {
        "vmcore": escape(outcome.key),
        "size": f"{drill['vmcoreBytes'] / 1e6:.1f} MB",
        "twin": f"{drill['twinId']} of {outcome.instance_id}: {outcome.variant}; nothing of it is left",
        **_facts_of_dump(outcome),
        "proven": escape(f"{drill['imageId']}, {drill['instanceType']}, {drill['kernel']}: {drill['detail']}"),
        "phases": phases,
    }


def _facts_of_dump(outcome: Outcome | DrillOutcome) -> dict[str, str]:
    proof = outcome.proof
    return {
        "kernel": escape(proof.kernel),
        "panic": f"[bold]{escape(proof.panic_line)}[/], at {proof.crashed_at:%Y-%m-%d %H:%M:%S} UTC",
    }


def _facts_of_run(outcome: Outcome | DrillOutcome, results: Results, total_seconds: float) -> dict[str, str]:
    durations = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    return {
        "hung by": f"[bold]{escape(outcome.culprit.task)}[/] on CPU {outcome.culprit.cpu}, as the report says",
        "durations": f"{durations}; {total_seconds:.0f} s in all",
        "files": f"{escape(str(results.folder))}/: {escape(', '.join(results.files))}",
    }
