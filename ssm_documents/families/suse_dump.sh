#!/bin/bash
# Owns what kdump on SUSE saves, where and how, the crash kernel's initrd, and the findings about both.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

suse_setting() { assignment "$SUSE_CONFIGURATION" "$1"; }

# A foreign target, or a program that replaces the whole saving, would leave the dump volume empty.
suse_refuse_foreign_target() {
  local directory transfer
  directory="$(suse_setting KDUMP_SAVEDIR)" transfer="$(suse_setting KDUMP_TRANSFER)"
  if [[ -n "$transfer" ]]; then
    fail "$SUSE_CONFIGURATION has KDUMP_TRANSFER='$transfer', which saves dumps in its own way. Empty it and run again."
  fi
  if [[ "$directory" == *" "* || "${directory#file://}" == *://* ]]; then
    fail "$SUSE_CONFIGURATION sends dumps elsewhere (KDUMP_SAVEDIR='$directory'). Set it to a local directory and run again."
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

# The owner's value of KDUMP_PRESCRIPT or KDUMP_POSTSCRIPT ($1), with its quotes: as it stands in the configuration or, replaced
# by our script $2, in that. Versions before the script appended commands.
suse_owners_script() {
  local line="s/^[[:space:]]*\(export[[:space:]]*\)\{0,1\}$1=//p" value
  value="$(sed -n "$line" "$HOST_ROOT$SUSE_CONFIGURATION" | tail -n 1)"
  if [[ "${value//[\"\']/}" == "$2" ]]; then value="$(text_of "$2" | sed -n "$line")"; fi
  sed -E 's#(; )?(echo 0 >/proc/sys/kernel/unknown_nmi_panic; echo 10 >/proc/sys/kernel/panic|'"$SUSE_POWEROFF"')(["'\'']?)$#\3#' <<<"$value"
}

# suse_script KEY SCRIPT COMMANDS: the new value of KEY. In SLES 15 SP6 and SP7 kdump runs the words of the value without a shell
# (no eval before kdump 2.1.1), so it is one program, which runs the owner's commands before ours. Without ours, it is theirs.
suse_script() {
  local owners
  owners="$(suse_owners_script "$1" "$2")"
  if [[ -z "$3" ]]; then
    rm -f "$HOST_ROOT$2"
    echo "${owners:-\"\"}"
    return
  fi
  {
    printf '%s\n' "#!/bin/bash" "# Written by Hangdump."
    if [[ -n "${owners//[\"\']/}" ]]; then printf '%s\n' "$1=$owners" "eval \"\$$1\""; fi
    echo "$3"
  } | write_if_changed "$2"
  chmod 0755 "$HOST_ROOT$2"
  echo "\"$2\""
}

# KDUMP_KEEP_OLD_DUMPS other than 0 deletes dumps nobody has collected; KDUMP_FREE_DISK_SIZE deletes the new one when little
# space is left. A shell (no immediate reboot, or on an error) means that the instance never comes back.
suse_write_configuration() {
  local program programs needed="$SUSE_PRESCRIPT" last=""
  if [[ "$2" == poweroff ]]; then needed+=" $SUSE_POSTSCRIPT poweroff" last="$SUSE_POWEROFF"; fi
  programs="$(suse_setting KDUMP_REQUIRED_PROGRAMS)"
  if [[ -z "$last" ]]; then programs="${programs/ $SUSE_POSTSCRIPT/}"; fi
  for program in $needed; do
    if [[ " $programs " != *" $program "* ]]; then programs="${programs:+$programs }$program"; fi
  done
  set_assignments "$SUSE_CONFIGURATION" KDUMP_SAVEDIR "\"file://$1\"" KDUMP_DUMPLEVEL "$LEVEL" KDUMP_DUMPFORMAT "\"$FORMAT\"" \
    MAKEDUMPFILE_OPTIONS "\"$OPTIONS\"" KDUMP_KEEP_OLD_DUMPS 0 KDUMP_FREE_DISK_SIZE 0 KDUMP_IMMEDIATE_REBOOT '"true"' \
    KDUMP_CONTINUE_ON_ERROR '"true"' KDUMP_REQUIRED_PROGRAMS "\"$programs\"" \
    KDUMP_PRESCRIPT "$(suse_script KDUMP_PRESCRIPT "$SUSE_PRESCRIPT" "$(crash_kernel_commands)")" \
    KDUMP_POSTSCRIPT "$(suse_script KDUMP_POSTSCRIPT "$SUSE_POSTSCRIPT" "$last")"
}

# $1: mount point, $2: core collector, $3: final action.
suse_configure_dump() {
  local FORMAT LEVEL OPTIONS
  suse_refuse_foreign_target
  suse_read_collector "$2"
  suse_refuse_unknown_format
  suse_write_configuration "$1" "$3"
  suse_pin_crashkernel
  # A boot that builds the initrd anew must not do so before the volume is there: it would be built for the root file system.
  order_after_mount "$SUSE_DROP_IN" "$1"
  enable_service kdump.service
  # What is loaded holds the configuration of the moment it was built in.
  if is_crash_kernel_loaded && ! suse_is_initrd_current "$1"; then
    suse_load_crash_kernel || fail "kdump.service could not load the crash kernel with its new configuration. See: journalctl -u kdump.service"
    note_change "crash kernel loaded again"
  fi
}

suse_final_action() {
  local script
  script="$(suse_setting KDUMP_POSTSCRIPT)"
  # Without a shell nothing but the first command of a list runs, with the rest as its arguments.
  if [[ "$script" == *\;* ]] && suse_runs_scripts_without_shell; then script=""; fi
  if [[ "$script" == *poweroff* ]] || grep -qs poweroff "$HOST_ROOT${script:-/none}"; then
    echo poweroff
  else
    suse_action_if "$(suse_setting KDUMP_IMMEDIATE_REBOOT)"
  fi
}

# kdump 1.9 to 2.1.0, as in SLES 15 SP6 and SP7.
suse_runs_scripts_without_shell() { grep -qsxE '[[:space:]]*\$\{KDUMP_POSTSCRIPT\}' "$HOST_ROOT"/usr/lib/dracut/modules.d/*kdump*/kdump-save; }

suse_own_final_action() {
  local script
  script="$(suse_setting KDUMP_POSTSCRIPT)"
  if [[ "$script" == *poweroff* && "$script" != *"$SUSE_POWEROFF" ]]; then echo "poweroff from KDUMP_POSTSCRIPT='$script' in $SUSE_CONFIGURATION"; fi
}

suse_failure_remedy() { echo "run configure_kdump"; }

suse_pinned_kernel() { kernel_pinned_in "$SUSE_CONFIGURATION"; }

suse_failure_action() { suse_action_if "$(suse_setting KDUMP_CONTINUE_ON_ERROR)"; }

# Both switches are on when nothing is set.
suse_action_if() { case "$1" in '' | yes | true | 1) echo reboot ;; *) echo shell ;; esac }

# kexec is called with -a, before kdump 2 with -s first.
suse_uses_kexec_file_load() { [[ " $(suse_setting KEXEC_OPTIONS) " != *" -c "* ]]; }

suse_dump_level() { suse_setting KDUMP_DUMPLEVEL; }
