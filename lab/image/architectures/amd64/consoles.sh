# shellcheck shell=bash disable=SC2034 # for configure.sh
SERIAL_PORT=ttyS0
GRUB_TERMINAL=serial
# As in Debian's images for EC2, but no_timer_check: as on KVM, where the kernel sets it by itself. Under TCG on a busy machine the
# check of the timer counts too few ticks, and the kernel panics ("IO-APIC + timer doesn't work").
KERNEL_ARGUMENTS="no_timer_check console=tty0 console=ttyS0,115200n8"
