# shellcheck shell=bash disable=SC2034 # for configure.sh
SERIAL_PORT=ttyAMA0
# Of UEFI: grub finds no serial port of its own.
GRUB_TERMINAL=console
KERNEL_ARGUMENTS="console=ttyAMA0,115200n8"
