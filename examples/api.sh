# Short words for the commands of docs/guides, for bash and zsh: `. examples/api.sh`

# `make serve` notes here where it listens.
API=$(sed -n 's/^PUBLIC_BASE_URL=//p' "${DATA_DIR:-.data}/local.env")

# api PATH [more of curl's options]: a call with the key in $KEY
api() {
  curl -sS --fail-with-body -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" "$API$1" "${@:2}"
  local status=$?
  echo
  return $status
}

# … | field NAME: one field of the JSON object that comes in
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
