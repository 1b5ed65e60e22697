# SPDX-License-Identifier: Apache-2.0
# functions.awk: a list of every public function, by header, with the first sentence of its comment: a block of tools/docs.
#
#   awk -f tools/functions.awk include/mica/HEADER.h ...
#
# A comment stands above what it tells of, or behind it on its line; functions that follow without one share it.

function trim(text) { gsub(/[ \t\n]+/, " ", text); sub(/^ /, "", text); sub(/ $/, "", text); return text }

# What a comment says first: to the end of a sentence, or to a colon with a list behind it.
function sentence(text,    i, end) {
  text = trim(text)
  gsub(/ \* /, " ", text)
  for (i = 1; i < length(text); i++) {
    end = substr(text, i, 2)
    if (end == ". " && substr(text, i + 2, 1) ~ /[A-Z"(`0-9]/ && substr(text, i - 3, 4) !~ /e\.g\.|i\.e\.|\.\.$| al\.|vol\./) return substr(text, 1, i)
  }
  return text
}

function comment_of(line,    text) {
  text = line
  sub(/^[^\/]*\/\*+ ?/, "", text)
  sub(/ ?\*+\/.*$/, "", text)
  return text
}

function heading(    text) {
  text = about
  sub(/^[a-z_0-9\/]+\.h: /, "", text)
  text = sentence(text)
  printf "%s### [mica/%s](../include/mica/%s)\n\n%s\n\n", (shown++ ? "\n" : ""), header, header, toupper(substr(text, 1, 1)) substr(text, 2)
  headed = 1
}

# "mica_value x, int32_t axis" -> "x, axis"
function names_of(text,    part, count, i, name, all) {
  gsub(/\(\*|\)/, " ", text) # (*pairs)[2]
  count = split(text, part, ",")
  for (i = 1; i <= count; i++) {
    name = trim(part[i])
    gsub(/ *\[[^\]]*\]/, "", name)
    sub(/.*[ *]/, "", name)
    if (name == "void") continue
    all = all (all == "" ? "" : ", ") name
  }
  return all
}

function declare(    named, name, arguments, text) {
  name = declaration
  sub(/\(.*/, "", name)
  sub(/.*[ *]/, "", name)
  arguments = declaration
  sub(/^[^(]*\(/, "", arguments)
  sub(/ MICA_[A-Z]+\([^)]*\) *;/, ";", arguments)
  sub(/\) *;.*$/, "", arguments)
  named = sub(/_(with)?$/, "", name) # the macro of that name is what programs call
  arguments = names_of(arguments)
  if (name == last_name || name == "") return
  if (!headed) heading()
  text = sentence(behind != "" ? behind : about_functions != "" || !named ? about_functions : about_type)
  # What was said of the function above is not said again.
  if (text == last_text) text = ""
  else last_text = text
  if (behind != "") about_functions = ""
  printf "- `%s(%s)`%s\n", name, (named ? "..." : arguments), (text == "" ? "" : ": " text)
  last_name = name
}

FNR == 1 {
  header = FILENAME
  sub(/.*include\/mica\//, "", header)
  about = about_functions = last_text = last_name = ""
  headed = in_comment = in_declaration = 0
}
in_comment {
  line = $0
  ended = line ~ /\*\//
  sub(/^ *\* ?/, "", line)
  sub(/ ?\*+\/.*$/, "", line)
  if (trim(line) == "") closed_part = 1
  if (!closed_part) comment = comment " " line
  if (ended) { in_comment = 0; finish() }
  next
}
function finish() {
  if (comment ~ /SPDX/) return
  if (about == "") { about = comment; return }
  if (comment ~ /---/) { about_functions = ""; return }
  about_functions = comment
}
!in_declaration && /^\/\*/ {
  comment = comment_of($0)
  closed_part = 0
  if ($0 ~ /\*\//) finish()
  else in_comment = 1
  next
}
/^MICA_API/ { declaration = ""; behind = ""; in_declaration = 1 }
in_declaration {
  line = $0
  if (line ~ /\/\*.*\*\//) { behind = comment_of(line); sub(/\/\*.*\*\//, "", line) }
  declaration = declaration " " line
  if (line ~ /; *$/) { in_declaration = 0; declare() }
}
# Another thing than a function has taken the comment.
!in_declaration && /^(typedef|struct|enum|#define [A-Z])/ { about_type = about_functions; about_functions = "" } # of named arguments: told above their struct
