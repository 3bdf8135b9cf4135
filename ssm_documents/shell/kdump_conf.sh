#!/bin/bash
# Edits /etc/kdump.conf (kdump.conf(5)): keeps foreign lines; sets one target and one line for each of Hangdump's options.
KDUMP_CONF=/etc/kdump.conf
# Marks the next line as Hangdump's target: only that target may be replaced.
KDUMP_CONF_MARK="# Hangdump's dump volume:"
KDUMP_CONF_TARGETS='ext[234]|xfs|btrfs|minix|virtiofs|raw|nfs4?|net|ssh'

# The value of option $1 (an extended regular expression) as kdump reads it: the last line without comments.
kdump_conf_value() {
  text_of "$KDUMP_CONF" | sed -nE "s/^[[:space:]]*($1)[[:space:]]+//p" |
    sed -E -e 's/[[:space:]]*(#.*)?$//' -e 's/^"(.*)"$/\1/' | tail -n 1
}

# "xfs UUID=…" for mount point $1, from fstab.
kdump_conf_wanted_target() {
  local device file_system
  read -r device _ file_system _ < <(fstab_lines "$1") || true
  if [[ -n "$device" ]]; then echo "$file_system $device"; fi
}

# The lines that set the dump target.
kdump_conf_targets() {
  text_of "$KDUMP_CONF" | TARGETS="$KDUMP_CONF_TARGETS" awk '
    $1 ~ "^(" ENVIRON["TARGETS"] ")$" { print $1 " " $2 }
    $1 == "dracut_args" && /--mount/ { print }'
}

# Lines that send dumps elsewhere than to target $1, or hide a change from the crash kernel; and of what the wait for a parked
# volume needs, which kdump takes one line of, those of others. They are never removed.
kdump_conf_foreign_lines() {
  text_of "$KDUMP_CONF" | MARK="$KDUMP_CONF_MARK" TARGETS="$KDUMP_CONF_TARGETS" WANTED="$1" awk '
    $0 == ENVIRON["MARK"] { ours = NR + 1; next }
    $1 ~ "^(" ENVIRON["TARGETS"] ")$" && NR != ours && $1 " " $2 != ENVIRON["WANTED"] { print }
    /LABEL=hangdump-parked / || /^[ \t]*kdump_pre[ \t]+\/etc\/hangdump\// { next }
    $1 == "dracut_args" && /--mount/ || $1 ~ /^(dracut_args|kdump_pre)$/ && ENVIRON["WANTED"] ~ /^dracut_args/ { print }
    $1 == "force_no_rebuild" && $2 == 1 { print }'
}

# kdump_conf_put OPTION-PATTERN LINE: one line for the option.
kdump_conf_put() { put_line "($1)([ "$'\t'"]|$)" "$2"; }

# edit_kdump_conf TARGET [OPTION-PATTERN LINE]...
edit_kdump_conf() {
  local foreign target="$1"
  shift
  foreign="$(kdump_conf_foreign_lines "$target")"
  if [[ -n "$foreign" ]]; then
    fail "$KDUMP_CONF has '${foreign//$'\n'/; }', which Hangdump did not write: dumps would not go to $target. Remove that, and run again."
  fi
  text_of "$KDUMP_CONF" | { grep -vxE "$KDUMP_CONF_MARK|[[:space:]]*kdump_pre[[:space:]]+$WAIT_SCRIPT.*" || true; } >"$WORK_DIR/edited"
  # What is left with --mount is the target of a parked volume.
  kdump_conf_put "$KDUMP_CONF_TARGETS|dracut_args --mount" "$KDUMP_CONF_MARK"$'\n'"$target"
  while (($# >= 2)); do
    kdump_conf_put "$1" "$2"
    shift 2
  done
  write_if_changed "$KDUMP_CONF" <"$WORK_DIR/edited"
}
