"""What a kernel's log tells about its crash, without symbols: class, task, function, trace. Pure, never raises."""

import re

from lambdas.triage.model import CrashClass, Task, Triage

__all__ = ["CrashClass", "Triage", "triage"]

# [ 1234.567890] Kernel panic - not syncing: NMI: Not continuing
_PANIC = re.compile(r"^(?:<\d>)?(?:\[ *(\d+\.\d+)\])?(?:\[ *[TC]\d+\])? ?(Kernel panic - .{0,300})", re.MULTILINE)
_VERSION = re.compile(r"Linux version (\S+)")
# CPU: 0 PID: 777 Comm: spin Kdump: loaded Not tainted 6.1.0-18-cloud-amd64 #1  Debian 6.1.76-1
_CPU = re.compile(r"CPU: (\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.{0,20}?) (?:Kdump: loaded )?(?:Not tainted|Tainted: )")


def triage(log: str, console: str = "") -> Triage:
    """Of vmcore-dmesg.txt, and of what the serial console still shows where that has gaps."""
    panic = _PANIC.search(log)
    version = _VERSION.search(log) or _VERSION.search(console)
    cpu = _CPU.search(log, panic.end()) if panic else None
    message = panic[2].strip() if panic else ""
    is_nmi = "NMI: Not continuing" in message
    return Triage(
        kernel_release=version[1] if version else "",
        uptime_seconds=float(panic[1]) if panic and panic[1] else None,
        panic_message=message,
        crash_class=CrashClass.NMI_HANG if is_nmi else CrashClass.PANIC if panic else CrashClass.UNKNOWN,
        sentence=message,
        crashing_cpu=int(cpu[1]) if cpu else None,
        task=Task(name=cpu[3], pid=int(cpu[2])) if cpu else None,
    )
