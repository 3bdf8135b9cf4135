#!/bin/bash
# Owns what is said when the tool of a boot loader is missing, fails, or leaves another crashkernel= than the wanted one.

# $1: tool, $2: value.
need_boot_loader_tool() {
  command -v "$1" >/dev/null || fail "There is no $1 on this host. Install it, or put $(crashkernel_arguments "$2") on the kernel's command line in the way its boot loader wants and reboot; then run again."
}

# $1: tool, $2: where it says why, if not on its stderr.
boot_loader_tool_failed() { fail "$1 failed; ${2:-its stderr} says why. Repair its configuration and run again."; }

# $1: value, $2: tool, $3: the usual cause and its remedy.
check_next_boot() {
  is_crashkernel_configured "$1" || fail "The next boot would get crashkernel '$(family configured_crashkernels | paste -s -d ' ')' after $2, not $1: $3, and run again."
}
