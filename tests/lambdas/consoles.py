"""Serial consoles as the guests print them, from before a hang to the boot after its dump."""

BEFORE = """\
[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian 6.1.76-1
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-cloud-amd64 root=/dev/nvme0n1p1 crashkernel=256M
[    3.141592] systemd[1]: Reached target multi-user.target - Multi-User System.

Debian GNU/Linux 12 guest ttyS0

guest login: """
CRASH_KERNEL = """\
[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian 6.1.76-1
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/nvme0n1p1 reset_devices nr_cpus=1 elfcorehdr=0x3b000000
[    0.000000] x86/fpu: x87 FPU will use FXSAVE
"""
# The device tree says where the crashed kernel's memory is, not the command line.
ARM_BEFORE = """\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x413fd0c1]
[    0.000000] Linux version 6.1.0-28-cloud-arm64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian 6.1.119-1
[    0.000000] efi: EFI v2.7 by EDK II
[    0.000000] Kernel command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-28-cloud-arm64 ro console=ttyAMA0 crashkernel=192M

Debian GNU/Linux 12 guest ttyAMA0

guest login: """
ARM_CRASH_KERNEL = """\
[  300.123456] Starting crashdump kernel...
[  300.234567] Bye!
[    0.000000] Booting Linux on physical CPU 0x0000000001 [0x413fd0c1]
[    0.000000] Linux version 6.1.0-28-cloud-arm64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian 6.1.119-1
[    0.000000] efi: EFI v2.7 by EDK II
[    0.000000] OF: fdt: Reserving 1 KiB of memory at 0x7e1ff000 for elfcorehdr
[    0.000000] Kernel command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-28-cloud-arm64 ro reset_devices nr_cpus=1
"""
DEBIAN_DUMPING = """\
[   20.123456] kdump-tools[217]: Starting kdump-tools:
[   20.223456] kdump-tools[217]: running makedumpfile -F -l --message-level 7 -d 31 /proc/vmcore | compress > …
Copying data                                      : [ 12.0 %] |           eta: 3s\r\
Copying data                                      : [ 45.3 %] /           eta: 2s\r"""
DEBIAN_SAVED = """
Copying data                                      : [100.0 %] \\           eta: 0s
[   27.000001] kdump-tools[217]: saved vmcore in /var/crash/202611230400.
[   27.100001] kdump-tools[217]: Rebooting.
"""
DRACUT_DUMPING = """\
[    9.000001] kdump[530]: Kdump is using the default log level(3).
[    9.100001] kdump[530]: saving vmcore-dmesg.txt complete
[    9.200001] kdump[530]: saving vmcore
"""
DRACUT_SAVED = """\
[   15.000001] kdump.sh[531]: The dumpfile is saved to /kdumproot/127.0.0.1-2026-11-23-04:00:31/vmcore-incomplete.
[   15.100001] kdump[530]: saving vmcore complete
"""
# As a guest printed it, shortened: its crash kernel found no init, panicked itself, and the firmware booted it again.
CRASH_KERNEL_PANICS = """\
[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-56-cloud-amd64 ro nr_cpus=1 panic=3 elfcorehdr=900468K
[    0.000000] BIOS-provided physical RAM map:
[    7.899060] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
[    7.901552] Rebooting in 3 seconds..
"""
FIRMWARE_AND_BOOT = """\
\x1b[H\x1b[J\x1b[1;1H  Booting `Debian GNU/Linux'

Loading Linux 6.1.0-56-cloud-amd64 ...
[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-56-cloud-amd64 ro console=ttyS0,115200n8 crashkernel=256M
[   68.864279] Kernel panic - not syncing: sysrq triggered crash
"""
# A crash kernel whose dump volume is parked.
WAITS = """[    9.300] hangdump: waiting for the dump volume, 0 of 1200 s
[   39.300] hangdump: waiting for the dump volume, 30 of 1200 s
"""
GIVES_UP = "[ 1209.3] hangdump: no dump volume within 1200 s: rebooting without a dump\n"
