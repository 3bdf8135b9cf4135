#!/bin/bash
# Takes Hangdump's edit out of a file that somebody else has changed since, key by key.

# From $WORK_DIR/{original,ours,current}: the merged file on stdout, and what is left as it is to $WORK_DIR/left, as
# "key US found US ours". $1: the file's name. $2: a pattern; if it is not empty, nobody knows what Hangdump wrote, and only
# lines that match it are taken for Hangdump's.
# A line that is still ours becomes the one that it replaced. A line whose key was changed since stays. Of the kernel's
# command line the key is crashkernel. Secrets in foreign lines are not reported.
merge() {
  # However somebody has edited them: what they name is removed.
  if [[ "$1" == "$KDUMP_CONF" ]]; then sed -i -E '/LABEL=hangdump-parked /d; /^[[:space:]]*kdump_pre[[:space:]]+[/]etc[/]hangdump[/]/d' "$WORK_DIR/current"; fi
  awk -v file="$1" -v only="$2" -v targets="$KDUMP_CONF_TARGETS" -v left="$WORK_DIR/left" '
    function key_of(line) {
      if (line ~ /^[ \t]*(#|$)/) return "#"
      sub(/^[ \t]*(export[ \t]+)?-?/, "", line)
      match(line, /^[^ \t=]+/)
      line = substr(line, 1, RLENGTH)
      if (file ~ /sysctl/) gsub("/", ".", line)
      if (file ~ /kdump[.]conf$/ && line ~ ("^(" targets ")$")) return "target"
      if (file ~ /kdump[.]conf$/ && line == "default") return "failure_action"
      return line
    }
    function words_of(line,   words) {
      while (match(line, /crashkernel=[^ "\047]*/)) {
        words = words (words == "" ? "" : " ") substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
      }
      return words
    }
    function with_words(line, words,   head, rest) {
      match(line, /[ \t]*crashkernel=[^ "\047]*/)
      head = substr(line, 1, RSTART - 1)
      rest = substr(line, RSTART + RLENGTH)
      gsub(/[ \t]*crashkernel=[^ "\047]*/, "", rest)
      if (words != "" && head !~ /(^|["\047= \t])$/) words = " " words
      return head words rest
    }
    # The longest common subsequence: to[i] = j.
    function align(x, n, y, m, to,   i, j, low, length_of) {
      for (low = 1; low <= n && low <= m && x[low] == y[low]; low++) to[low] = low
      for (; n >= low && m >= low && x[n] == y[m]; n--) to[n] = m--
      for (i = n; i >= low; i--)
        for (j = m; j >= low; j--)
          length_of[i, j] = x[i] == y[j] ? length_of[i + 1, j + 1] + 1 : length_of[i + 1, j] > length_of[i, j + 1] ? length_of[i + 1, j] : length_of[i, j + 1]
      i = j = low
      while (i <= n && j <= m)
        if (x[i] == y[j]) { to[i] = j; i++; j++ }
        else if (length_of[i + 1, j] >= length_of[i, j + 1]) i++
        else j++
    }
    function say_left(line, found) {
      changed_key[key_of(line)] = 1
      if (words_of(line) != "") print "crashkernel\037" words_of(found) "\037" words_of(line) >>left
      else print key_of(line) "\037" found "\037" line >>left
    }
    function put_dropped(upto,   i) {
      for (; put < upto; put++)
        for (i = 1; i <= n_original; i++)
          if ((i in dropped) && after[i] == put + 1 && !(key_of(original[i]) in changed_key)) print original[i]
    }
    FILENAME ~ /original$/ { original[++n_original] = $0 "" }
    FILENAME ~ /ours$/ { ours[++n_ours] = $0 "" }
    FILENAME ~ /current$/ { current[++n_current] = $0 "" }
    END {
      align(original, n_original, ours, n_ours, kept)
      align(ours, n_ours, current, n_current, there)
      for (i in kept) source[kept[i]] = i
      for (k in there) origin[there[k]] = k
      for (k = 1; k <= n_ours; k++) {
        if (k in source) continue
        if (only != "" && ours[k] !~ only) { foreign[k] = 1; continue }
        for (i = 1; i <= n_original && key_of(ours[k]) != "#"; i++)
          if (!(i in kept) && !(i in replaced) && key_of(original[i]) == key_of(ours[k])) { pair[k] = i; replaced[i] = k; break }
      }
      for (i = 1; i <= n_original; i++) {
        if (i in kept) last = kept[i]
        else if (i in replaced) last = replaced[i]
        else if (only == "" || original[i] ~ only) { dropped[i] = 1; after[i] = last + 1 }
      }
      for (k = 1; k <= n_ours; k++) {
        if ((k in source) || (k in there) || key_of(ours[k]) == "#") continue
        was = (k in pair) ? original[pair[k]] : ""
        found = 0
        for (j = 1; j <= n_current; j++) if (!(j in origin) && !(j in instead) && key_of(current[j]) == key_of(ours[k])) found = j
        if (found ? current[found] == was : !(k in pair)) continue
        if (found && words_of(ours[k]) != "" && words_of(current[found]) == words_of(ours[k])) instead[found] = with_words(current[found], words_of(was))
        else say_left(ours[k], found ? current[found] : "")
      }
      put_dropped(1)
      for (j = 1; j <= n_current; j++) {
        k = (j in origin) ? origin[j] : 0
        if (j in instead) print instead[j]
        else if (!(j in origin) || (k in source) || (k in foreign)) print current[j]
        else if (only != "" && words_of(current[j]) != "") print with_words(current[j], (k in pair) ? words_of(original[pair[k]]) : "")
        else if (k in pair) print original[pair[k]]
        if (j in origin) put_dropped(k + 1)
      }
      put_dropped(n_ours + 1)
    }' "$WORK_DIR/original" "$WORK_DIR/ours" "$WORK_DIR/current"
}
