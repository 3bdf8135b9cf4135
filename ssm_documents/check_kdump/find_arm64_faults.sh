#!/bin/bash
# What leaves a dump of arm64 without a byte although the crash kernel is loaded. Nothing else shows it before the crash.

find_arm64_faults() {
  if [[ "$(architecture)" == aarch64 ]]; then
    find_missing_kernel_symbol
    find_kernel_that_makedumpfile_cannot_read
  fi
}

# kexec tries kexec_load where the kernel lacks kexec_file_load.
is_kexec_file_load_built_in() { ! grep -qs '^# CONFIG_KEXEC_FILE is not set' "$HOST_ROOT/boot/config-$(kernel_release)"; }

# kexec_load learns from _text where memory is mapped. Without it, it writes a wrong header for the vmcore. A kernel without
# CONFIG_KALLSYMS_ALL, as Debian 12 has it, does not list it. The size of a file in /proc says nothing: it is 0.
find_missing_kernel_symbol() {
  if [[ ! -e "$HOST_ROOT/proc/kallsyms" ]] || grep -qm 1 ' _text$' "$HOST_ROOT/proc/kallsyms"; then return 0; fi
  if family uses_kexec_file_load && is_kexec_file_load_built_in; then return 0; fi
  finding kernel-symbol-missing "/proc/kallsyms has no _text, which kexec_load needs on arm64: makedumpfile could not read the crashed kernel" "boot a kernel with CONFIG_KALLSYMS_ALL, or one with CONFIG_KEXEC_FILE and kexec -s"
}

find_kernel_that_makedumpfile_cannot_read() {
  local said
  [[ "$IS_MEASURED" == failed ]] || return 0
  said="$(grep -v -e '^makedumpfile Failed' -e 'version is not supported' -e 'may be incomplete' -e '^ *$' "$WORK_DIR/mem-usage" | tail -n 1 || true)"
  finding makedumpfile-cannot-read "makedumpfile $(makedumpfile_version) cannot read Linux $(kernel_release): ${said:-it took longer than 60 s}" "install a makedumpfile that knows this kernel; for one of 52-bit addresses that is one after 1.7.9"
}
