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
# Within the quotes; a last line of any other form, or none, gets a line of its own after it, which adds to it.
grub2_edit_defaults() {
  local key=GRUB_CMDLINE_LINUX_DEFAULT line form
  [[ -f "$HOST_ROOT$GRUB2_DEFAULTS" ]] || return 0
  grep -q "^[[:space:]]*$key=" "$HOST_ROOT$GRUB2_DEFAULTS" || key=GRUB_CMDLINE_LINUX
  form="^[0-9]+:[[:space:]]*$key=(\"[^\"]*\"|'[^']*')$"
  grub_without_crashkernel "$GRUB2_DEFAULTS" >"$WORK_DIR/grub"
  line="$(grep -nE "^[[:space:]]*(export[[:space:]]+)?$key=" "$WORK_DIR/grub" | tail -n 1 || true)"
  if [[ "$line" =~ $form ]]; then
    sed -i "${line%%:*}{s|.$| $1&|;s|^\([^=]*=.\) |\1|}" "$WORK_DIR/grub"
  else
    echo "$key=\"\$$key $1\"" >>"$WORK_DIR/grub"
  fi
  write_if_changed "$GRUB2_DEFAULTS" <"$WORK_DIR/grub"
}

grub2_make_configuration() {
  detached grub2-mkconfig -o "$WORK_DIR/grub.cfg" || boot_loader_tool_failed grub2-mkconfig
}

# What new-kernel-pkg adds to the entry of each kernel that is installed, from vconsole.conf and locale.conf: they come and go
# with updates, and the kernel takes no notice of them.
GRUB2_LOCALE_ARGUMENTS='LANG|LC_[A-Z]+|SYSFONT|SYSFONTACM|UNIMAP|KEYTABLE|KEYBOARDTYPE|(rd[.])?(vconsole|locale)[.][A-Za-z._]+'

# The kernel that `grubby --set-default` chose, where it is in grub.cfg alone: default=1.
grub2_pinned_defaults() {
  local file
  while read -r file; do grep -ohs '\<default="[0-9][0-9]*"' "$HOST_ROOT$file" || true; done < <(grub2_configurations)
}

# Before any edit: arguments of the running kernel that a new grub.cfg would have nowhere, because somebody put them into the
# old one (grubby does). GRUB moves quotes. Only names are printed: a value may be a secret.
grub2_refuse_loss() {
  local argument new lost=""
  grub2_make_configuration
  new="$(tr -d '\\"' <"$WORK_DIR/grub.cfg")"
  while read -r argument; do
    if [[ "$new" != *"$argument"* ]]; then lost+=" ${argument%%[!A-Za-z0-9_.-]*}"; fi
  done < <({ booted_arguments && grub2_pinned_defaults; } | tr -d '\\"' | grep -vE "^(BOOT_IMAGE|crashkernel|initrd|root|$GRUB2_LOCALE_ARGUMENTS)=")
  [[ -z "$lost" ]] || fail "grub2-mkconfig would drop '${lost# }': only grub.cfg has it. Nothing there was changed. Add it to $GRUB2_DEFAULTS (default as GRUB_DEFAULT), and run again."
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
