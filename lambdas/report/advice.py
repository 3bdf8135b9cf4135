"""What to do next, by how the incident ended and by what the kernel was doing: words, and commands to copy. Pure."""

from dataclasses import dataclass

from lambdas.incident.record import Verdict
from lambdas.report.facts import Facts
from lambdas.report.text import argument, uri
from lambdas.runtime.notification import next_step
from lambdas.triage.model import CrashClass, Triage

# Where the dump is, or may still be, on the instance.
_FETCHABLE = {Verdict.INCOMPLETE, Verdict.PANIC_NO_DUMP, Verdict.FAILED}
_REFUSALS = {Verdict.REFUSED, Verdict.UNSUPPORTED}

_BY_CLASS = {
    CrashClass.NMI_HANG: "It hung until the interrupt: see which task held each CPU. A real-time task that never "
    "sleeps, or a lock that nobody released, stands at the top of a CPU's trace.",
    CrashClass.HARD_LOCKUP: "A CPU ran with interrupts off for too long: look at the function at the top of its trace, "
    "or at what holds the lock that it spins on.",
    CrashClass.SOFT_LOCKUP: "A CPU stayed in the kernel without scheduling: look in its trace for a long loop, or for "
    "a spin lock held elsewhere.",
    CrashClass.HUNG_TASK: "A task waited too long. Follow the blocked tasks to the one that waits for nobody's lock: "
    "it waits for a disk or the network, or holds what the others want.",
    CrashClass.RCU_STALL: "A CPU or task did not pass a quiescent state: a loop in the kernel, or real-time tasks that "
    "starve the rcu threads.",
    CrashClass.OUT_OF_MEMORY: "Memory ran out. See which process or slab grew; limit it by a cgroup, or take a larger "
    "instance type.",
    CrashClass.MACHINE_CHECK: "The hardware reported it. Stop and start the instance: it moves to another host.",
    CrashClass.NULL_DEREFERENCE: "A bug in the function at the top of the trace, or in its caller. If a module is "
    "named there, update or unload it; else look for the function among the fixes of newer kernels.",
    CrashClass.PAGE_FAULT: "A bad pointer in the function at the top of the trace: a use after free, or a corrupted "
    "object. A kernel with KASAN finds the culprit.",
    CrashClass.OOPS: "A bug in the function at the top of the trace; look for it among the fixes of newer kernels.",
    CrashClass.BUG: "The kernel found its own state impossible, at the line it names: look there for what it expects.",
    CrashClass.STACK_OVERFLOW: "The trace is deeper than the stack: look for recursion, or for stacked drivers and "
    "file systems.",
    CrashClass.WATCHDOG: "A watchdog bit: what kept its feeder from running is in the CPUs' traces.",
    CrashClass.SYSRQ: "Somebody, or a tool, asked for this crash by sysrq: see who was on the instance.",
}


@dataclass(frozen=True)
class Step:
    """One thing to do; `command` is ready to be pasted into a shell."""

    words: str
    command: str = ""


def next_steps(incident: Facts, triage: Triage | None) -> list[Step]:
    """Most telling first."""
    verdict = incident.text("verdict")
    steps = []
    if triage and triage.crash_class in _BY_CLASS:
        steps.append(Step(_BY_CLASS[triage.crash_class]))
    if verdict in _REFUSALS:
        steps.append(Step(next_step(incident.text("decisionReason") or incident.text("reason"))))
    steps.extend(_read_the_dump(incident))
    if not incident.part("keys").text("vmcore") and incident.part("keys").text("dmesg"):
        steps.append(Step("Read the kernel's last words.", _download(incident, "dmesg", "vmcore-dmesg.txt")))
    if verdict in _FETCHABLE and incident.text("instanceId"):
        steps.append(
            Step(
                "Once the instance runs and answers, fetch whatever vmcore is on its dump volume.",
                "aws stepfunctions start-execution --state-machine-arn "
                + argument(_machine(incident))
                + " --input "
                + argument(f'{{"instanceId": "{incident.text("instanceId")}"}}'),
            )
        )
    if verdict in (Verdict.PANIC_NO_DUMP, Verdict.NO_PANIC):
        steps.append(Step("Provision the instance again: it checks kdump, and says what keeps it from dumping."))
    return [step for step in steps if step.words]


def _read_the_dump(incident: Facts) -> list[Step]:
    if not incident.part("keys").text("vmcore"):
        return []
    steps = [
        Step(
            "Download the dump. It holds the memory of the host: keep it where only you can read it.",
            _download(incident, "vmcore", "vmcore"),
        ),
        Step(
            "Have all CPUs' traces, locks and memory written out, with the symbols of exactly this kernel (in the "
            "repository of Hangdump).",
            "python -m analysis vmcore",
        ),
        Step("Or look yourself, with drgn or with crash and this kernel's debug symbols.", "drgn -c vmcore"),
    ]
    if name := incident.text("incidentId"):
        steps.insert(0, Step("Open it in drgn, all in one step.", f"python -m analysis open {argument(name)}"))
    return steps


def _download(incident: Facts, name: str, target: str) -> str:
    key = incident.part("keys").text(name)
    region = incident.text("region")
    command = f"aws s3 cp {argument(uri(incident.text('bucket'), key))} {target}"
    return f"{command} --region {argument(region)}" if region else command


def _machine(incident: Facts) -> str:
    # arn:aws:states:eu-central-1:123456789012:execution:CollectVmcore:20261123T055328Z-…
    arn = incident.text("executionArn").split(":")
    if len(arn) >= 7 and arn[2] == "states":
        return ":".join([*arn[:5], "stateMachine", arn[6]])
    return "<CollectVmcoreArn of the stack>"
