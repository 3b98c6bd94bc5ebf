#!/bin/sh
# Puts a dump of backup.sh in the place of the database. API, workers, beat and backups have to be stopped.
#   restore.sh NAME      a file of BACKUP_FOLDER, or a path
# The dump is restored into a database of its own first; then names are exchanged. What was there stays, as
# <name>_before_restore, until it is dropped by hand.
set -eu

dump=${1:?which dump}
case $dump in */*) ;; *) dump=${BACKUP_FOLDER:?}/$dump ;; esac
name=${PGDATABASE:?}
new=${name}_restored
old=${name}_before_restore

sql() {
    psql --quiet --no-psqlrc --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$@"
}

if [ "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname = '$old'")" != 0 ]; then
    echo "restore: there still is $old; drop it first: DROP DATABASE $old" >&2
    exit 1
fi
sql postgres -c "DROP DATABASE IF EXISTS $new" 2> /dev/null
createdb --maintenance-db postgres "$new"
pg_restore --exit-on-error --single-transaction --no-owner --dbname "$new" "$dump"
sql "$new" -c "ANALYZE"
# Fails, and changes nothing, while somebody is connected.
sql postgres -c "BEGIN; ALTER DATABASE $name RENAME TO $old; ALTER DATABASE $new RENAME TO $name; COMMIT"
echo "restore: $name is now $(basename "$dump"); what was there is $old"
