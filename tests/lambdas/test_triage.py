"""What is read from a kernel's log."""

from lambdas.triage import CrashClass, triage

NMI = """\
[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP
[  812.345678] Uhhuh. NMI received for unknown reason 21 on CPU 0.
[  812.345690] Kernel panic - not syncing: NMI: Not continuing
[  812.345699] CPU: 0 PID: 777 Comm: spin Kdump: loaded Not tainted 6.1.0-18-cloud-amd64 #1  Debian 6.1.76-1
"""


def test_names_the_hang_that_an_interrupt_ended() -> None:
    told = triage(NMI)
    assert (told.crash_class, told.kernel_release) == (CrashClass.NMI_HANG, "6.1.0-18-cloud-amd64")
    assert told.task is not None
    assert (told.crashing_cpu, told.task.name, told.task.pid) == (0, "spin", 777)


def test_knows_nothing_of_an_empty_log() -> None:
    assert triage("").crash_class == CrashClass.UNKNOWN
