#!/bin/sh
# Makes the secrets that compose.yaml mounts, once: run it again and it refuses, for new passwords would lock the
# database, and a new key would lose every tenant's data. Back the folder up apart from the database's backups.
#
#   deploy/compose/secrets.sh [DIRECTORY]      default: secrets, beside this script
set -eu
umask 077

dir=${1:-$(cd "$(dirname "$0")" && pwd)/secrets}
if [ -e "$dir" ]; then
  echo "secrets: $dir exists; it is left as it is" >&2
  exit 1
fi
mkdir -p "$dir"

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# The server runs as the owner of these files, and only the owner may read them.
head -c 32 /dev/urandom >"$dir/kms.key"
redis=$(random)
printf 'redis://:%s@redis:6379/0\n' "$redis" >"$dir/redis_url"

# Every role has a password of its own. bc_owner owns the schema and cannot log in.
{
  echo "CREATE ROLE bc_owner NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION;"
  for pair in migrator:database_migrator_url app:database_url writer:database_writer_url \
    control:database_control_url jobs:database_jobs_url support:database_support_url audit:database_audit_url; do
    role=bc_${pair%%:*} password=$(random)
    echo "CREATE ROLE $role LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '$password';"
    printf 'postgres://%s:%s@postgres:5432/biocore?sslmode=disable\n' "$role" "$password" >"$dir/${pair#*:}"
  done
  cat <<'SQL'
GRANT bc_owner TO bc_migrator;
REVOKE ALL ON DATABASE biocore FROM PUBLIC;
GRANT CONNECT ON DATABASE biocore TO bc_migrator, bc_app, bc_writer, bc_control, bc_jobs, bc_support, bc_audit;
GRANT CREATE, TEMPORARY ON DATABASE biocore TO bc_owner;
ALTER SCHEMA public OWNER TO bc_owner;
CREATE SCHEMA river AUTHORIZATION bc_owner;
SQL
  # Bound parameters are contact data, and the keys that open it.
  for role in bc_migrator bc_app bc_writer bc_control bc_jobs bc_support bc_audit; do
    echo "ALTER ROLE $role SET log_parameter_max_length = 0;"
    echo "ALTER ROLE $role SET log_parameter_max_length_on_error = 0;"
  done
} >"$dir/roles.sql"

# The images of Postgres and Redis read theirs as users of their own. The folder stays closed to everybody else.
random >"$dir/postgres_password"
printf 'requirepass %s\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n' "$redis" >"$dir/redis.conf"
chmod 644 "$dir/roles.sql" "$dir/postgres_password" "$dir/redis.conf"

# Who runs this owns the files, and is who the server runs as. Root stands back for the image's own user.
uid=$(id -u) gid=$(id -g)
if [ "$uid" = 0 ]; then
  uid=65532 gid=65532
  chown "$uid:$gid" "$dir/kms.key" "$dir"/*_url
fi
printf 'BIOCORE_RUN_AS=%s:%s\n' "$uid" "$gid" >"$dir/run-as.env"
echo "secrets: made in $dir. Next: docker compose --env-file $dir/run-as.env up --build" >&2
