#!/bin/bash
# The notes: facts worth knowing although the host can dump; and what the dumps that are there tell.
# Since this version the agent passes parameters as environment variables; older ones put them into the script.
ENV_VAR_AGENT=3.3.2746.0

# SSM Agent version: 3.3.1611.0
agent_version() {
  local agent
  for agent in amazon-ssm-agent "$HOST_ROOT/snap/amazon-ssm-agent/current/amazon-ssm-agent"; do
    if command -v "$agent" >/dev/null; then
      { "$agent" -version </dev/null 2>/dev/null || true; } | sed -n 's/.*version:* *\([0-9][0-9.]*\).*/\1/p'
      return 0
    fi
  done
}

find_old_agent() {
  local version
  version="$(agent_version)"
  if [[ -n "$version" ]] && is_older_version "$version" "$ENV_VAR_AGENT"; then
    note_finding agent-too-old "the SSM agent is $version; before $ENV_VAR_AGENT parameters become text of the script instead of its environment" "update the SSM agent (document AWS-UpdateSSMAgent)"
  fi
}

# The newest dump alone: whoever mends what made one fail removes it.
find_failed_dump() {
  local path
  path="$(sed -n '1s/^[0-9]* //p' "$WORK_DIR/dumps")"
  if [[ -n "$path" && ! -s "$path" ]]; then
    finding last-dump-failed "${path#"$HOST_ROOT"} is empty: the crash kernel could not write the last dump" "find out why (the console of that crash, and makedumpfile's words in it), mend it, then remove ${path#"$HOST_ROOT"}"
  fi
}

find_uncollected_dump() {
  local epoch path
  is_mounted "$SSM_mountPoint" || return 0
  dumps >"$WORK_DIR/dumps" || true
  find_failed_dump
  while read -r epoch path; do
    if is_dump_complete "$path"; then
      note_finding uncollected-dump "${path#"$HOST_ROOT"}, $(($(size_of "$path") >> 20)) MiB, was written $(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$epoch") and is still here" "start CollectVmcore with this instance's id"
      return 0
    fi
  done <"$WORK_DIR/dumps"
}
