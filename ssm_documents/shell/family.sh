#!/bin/bash
# Finds this host's family of distributions. A family is one file in families/; its functions begin with its name.

find_family() {
  local question
  for question in $(compgen -A function | grep '_is_this_host$'); do
    if "$question"; then
      FAMILY="${question%_is_this_host}"
      return
    fi
  done
  fail UnsupportedFamily "No family of distributions that Hangdump knows ($(compgen -A function | sed -n 's/_is_this_host$//p' | paste -s -d ' ')) fits this host: $(assignment /etc/os-release PRETTY_NAME). Configure kdump by hand, or add the family."
}

# family VERB [ARGUMENT]...: calls the function of this host's family.
family() {
  local verb="$1"
  shift
  "${FAMILY}_$verb" "$@"
}
