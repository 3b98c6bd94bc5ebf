#!/bin/sh
# Dumps the database on a schedule and removes old dumps; docs/deploy.md has how one is restored.
#   backup.sh            for ever: a dump whenever the newest is older than BACKUP_EVERY_SECONDS
#   backup.sh once       one dump, now
#   backup.sh healthy    exit status 0 while the newest is not older than twice that
# The database is named by libpq's variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE).
set -eu
umask 077

folder=${BACKUP_FOLDER:?}
every_seconds=${BACKUP_EVERY_SECONDS:-86400}
keep=${BACKUP_KEEP:-14}
look_seconds=$((every_seconds < 60 ? every_seconds : 60))

# By the names, which are times.
dumps() {
    find "$folder" -maxdepth 1 -name 'runhooks-*.dump' | sort -r
}

newer_than() {
    find "$folder" -maxdepth 1 -name 'runhooks-*.dump' -newermt "@$(($(date +%s) - $1))" | grep -q .
}

# Steps by `&&`: `set -e` does not count in what an `if` asks.
dump() {
    name=$folder/runhooks-$(date -u +%Y%m%dT%H%M%SZ).dump
    # It is tried again each minute: beginnings of dumps that failed would fill the disk.
    write || { rm -f "$name.part"; return 1; }
}

write() {
    # Of a container that was killed.
    find "$folder" -maxdepth 1 -name '*.part' -mmin +1440 -delete \
        && pg_dump --format=custom --no-owner --file "$name.part" \
        && pg_restore --list "$name.part" > /dev/null \
        && sync "$name.part" \
        && mv "$name.part" "$name" \
        && echo "backup: $(basename "$name"), $(stat -c %s "$name") bytes" \
        && dumps | tail -n +$((keep + 1)) | while read -r old; do rm "$old"; done
}

case ${1:-} in
    once) dump ;;
    healthy) newer_than $((2 * every_seconds)) ;;
    '')
        trap 'exit 0' INT TERM
        while :; do
            if ! newer_than "$every_seconds" && ! dump; then
                echo "backup: failed; tried again in $look_seconds s" >&2
            fi
            # A signal is heard while it waits, not only after.
            sleep "$look_seconds" & wait $!
        done
        ;;
    *) echo "backup: once, healthy, or nothing" >&2; exit 2 ;;
esac
