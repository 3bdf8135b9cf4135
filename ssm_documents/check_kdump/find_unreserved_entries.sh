#!/bin/bash
# The note about boot loader entries that would boot a kernel without a reservation, beside those that have one: an entry that
# somebody wrote by hand, or of a kernel that was installed while the running one had no crashkernel= yet.

# Of every entry of the boot loader: kernel and arguments.
boot_entries() {
  local file
  if grubby_is_used || pbl_uses_entries; then
    for file in "$HOST_ROOT"/boot/loader/entries/*.conf "$HOST_ROOT"/boot/efi/loader/entries/*.conf; do
      awk '$1 == "linux" { kernel = $2 } $1 == "options" { sub(/^options/, ""); arguments = $0 } END { print kernel arguments }' "$file" 2>/dev/null || true
    done
  else
    grub_command_lines /boot/grub/grub.cfg
    while read -r file; do grub_command_lines "$file"; done < <(grub2_configurations)
  fi
}

# EL8 keeps what all entries have in common in grubenv.
has_reservation_in_grubenv() { grep -qs '^kernelopts=.*crashkernel=' "$HOST_ROOT/boot/grub2/grubenv"; }

# "/boot/vmlinuz-6.1.0 root=UUID=… ro single": nobody runs a host in recovery mode.
find_unreserved_entries() {
  local kernel arguments found=""
  if has_finding reservation-missing reboot-pending; then return 0; fi
  while read -r kernel arguments; do
    case " ${kernel##*/} $arguments " in
      *" crashkernel="* | *rescue* | *" single "* | *" recovery "* | *" emergency "*) ;;
      *\$kernelopts*) has_reservation_in_grubenv || found+=" ${kernel##*/}" ;;
      *) if [[ "${kernel##*/}" == *linu* ]]; then found+=" ${kernel##*/}"; fi ;;
    esac
  done < <(boot_entries)
  if [[ -n "$found" ]]; then
    note_finding boot-entry-unreserved "the boot loader has an entry without crashkernel= for$found: a boot of it could not dump" "make the entries anew (update-grub, grub2-mkconfig), or: grubby --update-kernel=ALL --args=crashkernel=…; or remove the entry"
  fi
}
