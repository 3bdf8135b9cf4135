"""The next steps for a verdict and a crash class: sentences, and commands to copy. Pure."""

import re
from dataclasses import dataclass

from lambdas.incident.record import Verdict
from lambdas.report.facts import Facts
from lambdas.report.text import argument
from lambdas.runtime.links import uri
from lambdas.runtime.refusal_advice import next_step
from lambdas.triage.blame import is_idle, waits_for_device
from lambdas.triage.model import CrashClass, Triage

# With these the dump is, or may be, still on the instance.
_FETCHABLE = {Verdict.INCOMPLETE, Verdict.PANIC_NO_DUMP, Verdict.FAILED}
_REFUSALS = {Verdict.REFUSED, Verdict.UNSUPPORTED}

_BY_CLASS = {
    CrashClass.NMI_HANG: "The instance hung until the interrupt. See which task held each CPU: look for a real-time "
    "task that never sleeps, or for a CPU that spins on a lock.",
    CrashClass.HARD_LOCKUP: "A CPU ran with interrupts off for too long. Look at the function at the top of its trace, "
    "and for the holder of the lock that it spins on.",
    CrashClass.SOFT_LOCKUP: "A CPU stayed in the kernel without scheduling. Look in its trace for a long loop, or for "
    "a spin lock that another CPU holds.",
    CrashClass.HUNG_TASK: "A task was blocked too long. Follow the blocked tasks to the one that waits for no lock: it "
    "waits for a disk or the network, or holds the lock that the others wait for.",
    CrashClass.RCU_STALL: "A CPU or task did not pass a quiescent state. Look for a loop in the kernel, or for "
    "real-time tasks that starve the RCU threads.",
    CrashClass.OUT_OF_MEMORY: "Memory ran out. See which process or slab grew. Limit it with a cgroup, or use a larger "
    "instance type.",
    CrashClass.MACHINE_CHECK: "The hardware reported an error. Stop and start the instance to move it to another host.",
    CrashClass.NULL_DEREFERENCE: "The function at the top of the trace, or its caller, has a bug. If the trace names a "
    "module, update or unload it; otherwise search the fixes of newer kernels for the function.",
    CrashClass.PAGE_FAULT: "The function at the top of the trace used a bad pointer: a use after free, or a corrupted "
    "object. A kernel with KASAN finds the cause.",
    CrashClass.OOPS: "The function at the top of the trace has a bug. Search the fixes of newer kernels for it.",
    CrashClass.BUG: "The kernel found its own state impossible. The source line that it names has the condition.",
    CrashClass.STACK_OVERFLOW: "The kernel stack overflowed. Look in the trace for recursion, or for stacked drivers "
    "and file systems.",
    CrashClass.WATCHDOG: "A watchdog fired. Look in the CPUs' traces for the task that kept its feeder from running.",
    CrashClass.SYSRQ: "A person or a tool triggered this crash by sysrq. Find out who was logged in.",
}


@dataclass(frozen=True)
class Step:
    """One thing to do; `command` can be pasted into a shell."""

    words: str
    command: str = ""


def next_steps(incident: Facts, triage: Triage | None) -> list[Step]:
    """The most useful step first."""
    verdict = incident.text("verdict")
    steps = []
    if triage and (words := _by_cause(triage) or _BY_CLASS.get(triage.crash_class, "")):
        steps.append(Step(words))
    if verdict in _REFUSALS:
        steps.append(Step(next_step(incident.text("decisionReason") or incident.text("reason"))))
    steps.extend(_read_the_dump(incident))
    if not incident.part("keys").text("vmcore") and incident.part("keys").text("dmesg"):
        steps.append(Step("Read the kernel's log.", _download(incident, "dmesg", "vmcore-dmesg.txt")))
    if verdict in _FETCHABLE and incident.text("instanceId"):
        steps.append(
            Step(
                "When the instance is running again, fetch any vmcore from its dump volume.",
                "aws stepfunctions start-execution --state-machine-arn "
                + argument(_machine(incident))
                + " --input "
                + argument(f'{{"instanceId": "{incident.text("instanceId")}"}}'),
            )
        )
    if verdict in (Verdict.PANIC_NO_DUMP, Verdict.NO_PANIC):
        steps.append(Step("Run ProvisionDumpVolume for the instance again: it checks kdump and names each fault."))
    return [step for step in steps if step.words]


_INIT_ENDED = re.compile(r".{0,60}Attempted to kill init!(?: exitcode=0x(?P<code>[0-9a-f]{8}))?")
_SIGBUS = 7
_WAITING = (CrashClass.NMI_HANG, CrashClass.HUNG_TASK)


def _by_cause(triage: Triage) -> str:
    """What fits the facts better than the words for the class; "" if nothing does."""
    init = _INIT_ENDED.match(triage.panic_message)
    if init is not None and int(init["code"] or "0", 16) & 0x7F == _SIGBUS:
        return (
            "A page of init could not be read from its disk. Look for errors of the root volume in the log, and at its "
            "status checks at that time."
        )
    if init is not None:
        return "The first process ended. See what it said last, and whether memory or the root volume failed."
    if triage.crash_class not in _WAITING:
        return ""
    if waits_for_device(triage.call_trace):
        return (
            "The task waits for a disk or the network. Look for errors and timeouts in the log, and at the volumes' "
            "VolumeQueueLength and VolumeStalledIOCheck at that time."
        )
    return _by_what_hung(triage) if triage.crash_class == CrashClass.NMI_HANG else ""


def _by_what_hung(triage: Triage) -> str:
    if is_idle(triage.call_trace):
        return "The log names nobody. Read the dump with symbols: who is blocked, and what waits for a disk."
    if any(triage.task and each.pid == triage.task.pid for each in triage.blocked_tasks):
        return _BY_CLASS[CrashClass.HUNG_TASK]
    pointer = triage.instruction_pointer.symbol if triage.instruction_pointer else ""
    if triage.call_trace and pointer and triage.call_trace[0].symbol != pointer:
        return "A task crashed before and never gave its locks back. Search newer kernels for fixes of its function."
    return ""


def _read_the_dump(incident: Facts) -> list[Step]:
    if not incident.part("keys").text("vmcore"):
        return []
    steps = [
        Step(
            "Download the dump. It holds the instance's memory: keep it where only you can read it.",
            _download(incident, "vmcore", "vmcore"),
        ),
        Step(
            "Print all CPUs' traces, locks and memory with the symbols of this kernel (run it in Hangdump's "
            "repository).",
            "python -m analysis vmcore",
        ),
        Step("Or examine it yourself, with drgn or crash and this kernel's debug symbols.", "drgn -c vmcore"),
    ]
    if name := incident.text("incidentId"):
        steps.insert(0, Step("Download it and open it in drgn.", f"python -m analysis open {argument(name)}"))
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
