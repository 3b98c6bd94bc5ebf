# Short words for the commands of docs/guides, for bash and zsh: `. examples/api.sh`

# `make serve` notes here where it listens.
API=$(sed -n 's/^PUBLIC_BASE_URL=//p' "${DATA_DIR:-.data}/local.env")

# api PATH [more of curl's options]: a call with the key in $KEY
api() {
  curl -sS --fail-with-body -w '\n' -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" "$API$1" "${@:2}"
}

# … | field NAME: one field of the JSON that comes in; `runs.0.id` leads inside
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name) if name.isdigit() else name]
print(value)' "$1"
}
