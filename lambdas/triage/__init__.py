"""Reads a crash from the kernel's log without symbols: class, task, function, trace. Pure, never raises."""

import re
from itertools import pairwise

from lambdas.triage import read_machine, read_memory
from lambdas.triage.blame import blamed_frame
from lambdas.triage.find_culprit import Culprit, find_culprit
from lambdas.triage.find_memory_hog import Hog, find_memory_hog
from lambdas.triage.model import CrashClass, Triage
from lambdas.triage.printk import Line, Log, read_log
from lambdas.triage.put_in_words import put_in_words
from lambdas.triage.read_trouble import blocked_tasks, cpus, warnings
from lambdas.triage.reports import Report, read_reports
from lambdas.triage.signature import sign
from lambdas.triage.titles import OOPS

__all__ = ["CrashClass", "Triage", "triage"]

_MOST_FRAMES = 64
_MOST_PROCESSES = 10
_BANNER = "Linux version "
# arm64 prints a few lines before the banner; the command line follows the banner.
_BANNER_LINES = 20
# Only a crash kernel is told where the crashed kernel's memory is: "… elfcorehdr=0x6b000000 …" on its command line, or
# on arm64 in the device tree.
_CRASH_KERNEL = re.compile(
    r"(?:Kernel c|C)ommand line: .*\belfcorehdr=|OF: fdt: Reserving \d+ KiB of memory at 0x[0-9a-f]+ for elfcorehdr"
)
# NETDEV WATCHDOG: eth0 (ena): transmit queue 2 timed out
_NETWORK_DRIVER = re.compile(r"NETDEV WATCHDOG: \S{1,40} \((\S{1,40})\): ")
# Kernel panic - not syncing: Fatal machine check · Fatal local machine check · Fatal hardware error!
_HARDWARE = re.compile("[mM]achine check|Fatal hardware error")


def triage(text: str, console: str = "") -> Triage:
    """Reads vmcore-dmesg.txt, and the serial console for lines of that boot that the log lacks."""
    log = read_log(text)
    seen = Log(_crashed_boot(read_log(console).lines), is_cut=True)
    if not log.lines:
        log = seen
    reports = read_reports(log.lines)
    culprit = find_culprit(reports, log.lines)
    return _assemble(culprit, reports, log, seen.lines)


def _assemble(culprit: Culprit, reports: list[Report], log: Log, seen: list[Line]) -> Triage:
    lines = log.lines
    # A wrapped log has lost its beginning; the console may still show it.
    machine = lines if lines is seen else seen + lines
    release = read_machine.kernel_release(machine) or _last_said(reports, "release")
    blocked = blocked_tasks(reports)
    seen_cpus = cpus(reports, culprit)
    is_out = culprit.crash_class == CrashClass.OUT_OF_MEMORY
    memory = read_memory.memory(lines, is_out=is_out)
    hog = find_memory_hog(memory, lines) if is_out else None
    both = (culprit.report, culprit.end) if culprit.is_on_cpu else (culprit.end, culprit.report)
    known = [report for report in both if report is not None]
    trace = culprit.where.trace[:_MOST_FRAMES]
    is_whole = any(line.text.startswith(_BANNER) for line in lines[:_BANNER_LINES])
    return Triage(
        kernel_release=release,
        architecture=read_machine.architecture(release, machine),
        cpu_count=read_machine.cpu_count(machine),
        uptime_seconds=_uptime(culprit, lines),
        panic_message=culprit.message[:300],
        crash_class=culprit.crash_class,
        sentence=put_in_words(
            culprit, cpus=seen_cpus, blocked=blocked.tasks, blocked_count=blocked.count, memory=memory, hog=hog
        ),
        crashing_cpu=culprit.cpu,
        task=culprit.task,
        instruction_pointer=(culprit.interrupted or culprit.where).pointer,
        call_trace=trace,
        blamed=blamed_frame(trace),
        taint=next((report.taint for report in known if report.taint), "") or _last_said(reports, "taint"),
        modules=read_machine.modules(lines),
        hardware=_last_said(reports, "hardware") or read_machine.hardware(machine),
        cpus=seen_cpus,
        blocked_tasks=blocked.tasks,
        blocked_task_count=blocked.count,
        blocked_groups=blocked.groups,
        warnings=warnings(lines, end=_first_of_the_end(culprit, len(lines))),
        memory=memory and memory.model_copy(update={"processes": memory.processes[:_MOST_PROCESSES]}),
        signature=_signature(culprit, hog),
        is_truncated=bool(lines) and (log.is_cut or not is_whole),
    )


def _signature(culprit: Culprit, hog: Hog | None) -> str:
    """Where the stack is chance, another name stands for it: who asks when memory is out, how init ends, what a CPU did
    when its hardware failed."""
    if culprit.crash_class == CrashClass.MACHINE_CHECK and _HARDWARE.search(culprit.message):
        return ""
    blamed = blamed_frame(culprit.where.trace)
    # A module that asks is no victim: it asks for itself.
    is_of_module = blamed is not None and blamed.module != ""
    instead = hog.name if hog and (hog.processes or hog.slab or not is_of_module) else ""
    if culprit.init_ended_by:
        instead = f"init {culprit.init_ended_by}"
    elif (driver := _NETWORK_DRIVER.match(culprit.said)) is not None:
        instead = f"transmit queue {driver[1]}"
    return sign(culprit.crash_class, culprit.where.trace, culprit.where.pointer, culprit.task, instead=instead)


def _crashed_boot(lines: list[Line]) -> list[Line]:
    """The lines of the boot that crashed: the boot before the crash kernel's, or all lines without a crash kernel."""
    begins = [0, *(place for place, line in enumerate(lines) if place and line.text.startswith(_BANNER))]
    for number, (begin, end) in enumerate(pairwise([*begins, len(lines)])):
        if any(_CRASH_KERNEL.match(line.text) for line in lines[begin : min(end, begin + _BANNER_LINES)]):
            return lines[begins[number - 1] if number else 0 : begin]
    return lines[: begins[1]] if len(begins) > 1 else lines


def _uptime(culprit: Culprit, lines: list[Line]) -> float | None:
    if culprit.end is not None and culprit.end.at is not None:
        return culprit.end.at
    return next((line.at for line in reversed(lines) if line.at is not None), None)


def _first_of_the_end(culprit: Culprit, otherwise: int) -> int:
    """The first line of the end. An oops is the end itself; a lockup's report is a warning before it."""
    if culprit.report is not None and culprit.report.has(OOPS) and culprit.is_on_cpu:
        return culprit.report.index
    return culprit.end.index if culprit.end is not None else otherwise


def _last_said(reports: list[Report], what: str) -> str:
    found: list[str] = [getattr(report, what) for report in reports if getattr(report, what)]
    return found[-1] if found else ""
