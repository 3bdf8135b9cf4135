#!/bin/bash
# Owns crashkernel= where grub2-mkconfig makes grub.cfg of /etc/default/grub alone: EL7, Amazon Linux 2.
GRUB2_DEFAULTS=/etc/default/grub

# What the firmware's boot loader reads. A grub.cfg on the EFI partition without a menu only loads the one in /boot/grub2, and
# grub2-mkconfig refuses to overwrite it.
grub2_configurations() {
  local file found=""
  if [[ -d "$HOST_ROOT/sys/firmware/efi" ]]; then
    for file in "$HOST_ROOT"/boot/efi/EFI/*/grub.cfg; do
      if grep -qs '^[[:space:]]*menuentry' "$file"; then
        found=yes
        echo "${file#"$HOST_ROOT"}"
      fi
    done
  fi
  [[ -n "$found" ]] || echo /boot/grub2/grub.cfg
}

grub2_configured_crashkernels() {
  local file
  while read -r file; do grub_command_lines "$file"; done < <(grub2_configurations) | crashkernel_values
}

# Arguments $1 into the line that the distribution uses (Amazon: …_DEFAULT, RHEL: only GRUB_CMDLINE_LINUX), old values out of all.
grub2_edit_defaults() {
  local key=GRUB_CMDLINE_LINUX_DEFAULT
  [[ -f "$HOST_ROOT$GRUB2_DEFAULTS" ]] || return 0
  grep -q "^[[:space:]]*$key=" "$HOST_ROOT$GRUB2_DEFAULTS" || key=GRUB_CMDLINE_LINUX
  grub_without_crashkernel "$GRUB2_DEFAULTS" | KEY="$key" ARGUMENTS="$1" awk '
    { line[++count] = $0 }
    $0 ~ "^[ \t]*" ENVIRON["KEY"] "=" { last = count }
    END {
      # Within the quotes; a line without them, or none, gets a line of its own, which adds to it.
      quote = substr(line[last], length(line[last]))
      at = index(line[last], "=" quote)
      if (at && (quote == "\"" || quote == "\047") && length(line[last]) > at + 1) {
        value = substr(line[last], at + 2, length(line[last]) - at - 2)
        line[last] = substr(line[last], 1, at + 1) value (value ~ /[^ ]$/ ? " " : "") ENVIRON["ARGUMENTS"] quote
      } else line[++count] = ENVIRON["KEY"] "=\"$" ENVIRON["KEY"] " " ENVIRON["ARGUMENTS"] "\""
      for (i = 1; i <= count; i++) print line[i]
    }' >"$WORK_DIR/grub"
  write_if_changed "$GRUB2_DEFAULTS" <"$WORK_DIR/grub"
}

grub2_make_configuration() {
  detached grub2-mkconfig -o "$WORK_DIR/grub.cfg" || boot_loader_tool_failed grub2-mkconfig
}

# What new-kernel-pkg adds to the entry of each kernel that is installed, from vconsole.conf and locale.conf: they come and go
# with updates, and the kernel takes no notice of them.
GRUB2_LOCALE_ARGUMENTS='LANG|LC_[A-Z]+|SYSFONT|SYSFONTACM|UNIMAP|KEYTABLE|KEYBOARDTYPE|(rd[.])?(vconsole|locale)[.][A-Za-z._]+'

# Before any edit: arguments of the running kernel that a new grub.cfg would have nowhere, because somebody put them into the
# old one (grubby does). GRUB moves quotes. Only names are printed: a value may be a secret.
grub2_refuse_loss() {
  local argument new lost=""
  grub2_make_configuration
  new="$(tr -d '\\"' <"$WORK_DIR/grub.cfg")"
  while read -r argument; do
    if [[ "$new" != *"$argument"* ]]; then lost+=" ${argument%%[!A-Za-z0-9_.-]*}"; fi
  done < <(booted_arguments | tr -d '\\"' | grep -vE "^(BOOT_IMAGE|crashkernel|initrd|root|$GRUB2_LOCALE_ARGUMENTS)=")
  [[ -z "$lost" ]] || fail "grub2-mkconfig would drop '${lost# }' from the kernel's command line: only grub.cfg has it. The boot loader is as it was. Add it to $GRUB2_DEFAULTS, and run again."
}

grub2_configure_reservation() {
  local value="$1" file
  need_boot_loader_tool grub2-mkconfig "$value"
  is_crashkernel_configured "$value" || grub2_refuse_loss
  grub2_edit_defaults "$(crashkernel_arguments "$value")"
  if ! is_crashkernel_configured "$value"; then
    grub2_make_configuration
    while read -r file; do write_if_changed "$file" <"$WORK_DIR/grub.cfg"; done < <(grub2_configurations)
  fi
  check_next_boot "$value" grub2-mkconfig "something in /etc/grub.d or $GRUB2_DEFAULTS sets it anew. Remove that"
}
