#!/bin/bash
# Owns what kdump on SUSE saves, where and how, the crash kernel's initrd, and the findings about both.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

suse_setting() { assignment "$SUSE_CONFIGURATION" "$1"; }

# A foreign target, or a program that replaces the whole saving, would leave the dump volume empty.
suse_refuse_foreign_target() {
  local directory transfer
  directory="$(suse_setting KDUMP_SAVEDIR)" transfer="$(suse_setting KDUMP_TRANSFER)"
  if [[ -n "$transfer" ]]; then
    fail ConfigurationFailed "$SUSE_CONFIGURATION has KDUMP_TRANSFER='$transfer', which saves dumps in its own way. Empty it and run again."
  fi
  if [[ "$directory" == *" "* || "${directory#file://}" == *://* ]]; then
    fail ConfigurationFailed "$SUSE_CONFIGURATION sends dumps elsewhere (KDUMP_SAVEDIR='$directory'). Set it to a local directory and run again."
  fi
}

# COLLECTOR's words go three ways: compression to KDUMP_DUMPFORMAT, -d to KDUMP_DUMPLEVEL, the rest to makedumpfile itself.
suse_read_collector() {
  local word previous=""
  FORMAT=compressed LEVEL=0 OPTIONS=""
  for word in $1; do
    case "$previous $word" in
      *" makedumpfile" | *" -c" | *" -d") ;;
      *" -l") FORMAT=lzo ;;
      *" -p") FORMAT=snappy ;;
      *" -z") FORMAT=zstd ;;
      *" -E") FORMAT=ELF ;;
      "-d "*) LEVEL="$word" ;;
      *) OPTIONS="${OPTIONS:+$OPTIONS }$word" ;;
    esac
    previous="$word"
  done
}

# The file itself lists the formats that its kdump knows: ## Type: list(,none,ELF,compressed,lzo,snappy)
suse_refuse_unknown_format() {
  local known
  known="$(grep -E '^## Type:.*list\(.*compressed' "$HOST_ROOT$SUSE_CONFIGURATION" || true)"
  if [[ -n "$known" && "$known" != *[,\(]"$FORMAT"[,\)]* ]]; then
    fail InvalidParameter "coreCollector asks for the format $FORMAT, but this host's kdump knows $known; take -c or another."
  fi
}

# suse_script KEY OURS [ON]: the value of KEY with our commands after the owner's, in the owner's quotes; without ON, without ours.
suse_script() {
  local value quote='"'
  value="$(sed -n "s/^[[:space:]]*$1=//p" "$HOST_ROOT$SUSE_CONFIGURATION" | tail -n 1)"
  if [[ "$value" == \'*\' ]]; then quote="'"; fi
  value="${value#[\"\']}" value="${value%[\"\']}"
  value="${value%"$2"}" value="${value%; }"
  if [[ "${3:-}" == on ]]; then value="${value:+$value; }$2"; fi
  printf '%s\n' "$quote$value$quote"
}

# KDUMP_KEEP_OLD_DUMPS other than 0 deletes dumps nobody has collected; KDUMP_FREE_DISK_SIZE deletes the new one when little
# space is left. A shell (no immediate reboot, or on an error) means that the instance never comes back.
suse_write_configuration() {
  local programs switch=off
  programs="$(suse_setting KDUMP_REQUIRED_PROGRAMS)"
  if [[ "$2" == poweroff ]]; then
    switch=on
    if [[ " $programs " != *poweroff* ]]; then programs="${programs:+$programs }poweroff"; fi
  fi
  set_assignments "$SUSE_CONFIGURATION" KDUMP_SAVEDIR "\"file://$1\"" KDUMP_DUMPLEVEL "$LEVEL" KDUMP_DUMPFORMAT "\"$FORMAT\"" \
    MAKEDUMPFILE_OPTIONS "\"$OPTIONS\"" KDUMP_KEEP_OLD_DUMPS 0 KDUMP_FREE_DISK_SIZE 0 KDUMP_IMMEDIATE_REBOOT '"true"' \
    KDUMP_CONTINUE_ON_ERROR '"true"' KDUMP_REQUIRED_PROGRAMS "\"$programs\"" \
    KDUMP_PRESCRIPT "$(suse_script KDUMP_PRESCRIPT "$SUSE_PRESCRIPT" on)" \
    KDUMP_POSTSCRIPT "$(suse_script KDUMP_POSTSCRIPT "$SUSE_POSTSCRIPT" "$switch")"
}

# $1: mount point, $2: core collector, $3: final action.
suse_configure_dump() {
  local unit FORMAT LEVEL OPTIONS
  suse_refuse_foreign_target
  suse_read_collector "$2"
  suse_refuse_unknown_format
  suse_write_configuration "$1" "$3"
  suse_pin_crashkernel
  unit="$(mount_unit "$1")"
  # A boot that builds the initrd anew must not do so before the volume is there: it would be built for the root file system.
  printf '%s\n' "# Written by Hangdump." "[Unit]" "Wants=$unit" "After=$unit" | write_if_changed "$SUSE_DROP_IN"
  systemctl daemon-reload
  if ! is_service_enabled kdump.service; then
    systemctl enable kdump.service 3>&- 9>&-
    note_change "kdump.service enabled"
  fi
  # What is loaded holds the configuration of the moment it was built in.
  if is_crash_kernel_loaded && ! suse_is_initrd_current "$1"; then
    suse_load_crash_kernel || fail ConfigurationFailed "kdump.service could not load the crash kernel with its new configuration. Look at: journalctl -u kdump.service"
    note_change "crash kernel loaded again"
  fi
}

suse_final_action() {
  if [[ "$(suse_setting KDUMP_POSTSCRIPT)" == *poweroff* ]]; then
    echo poweroff
  else
    suse_action_if "$(suse_setting KDUMP_IMMEDIATE_REBOOT)"
  fi
}

suse_failure_action() { suse_action_if "$(suse_setting KDUMP_CONTINUE_ON_ERROR)"; }

# Both switches are on when nothing is set.
suse_action_if() { case "$1" in '' | yes | true | 1) echo reboot ;; *) echo shell ;; esac }

# kexec is called with -a, before kdump 2 with -s first.
suse_uses_kexec_file_load() { [[ " $(suse_setting KEXEC_OPTIONS) " != *" -c "* ]]; }

suse_dump_level() { suse_setting KDUMP_DUMPLEVEL; }
