#!/bin/sh
# Installs the monitor binary, its user, its configuration folder and its systemd unit; run it again to upgrade.
# With --failover it is a standby of another machine instead: its unit, and /opt/failover-monitor for its configuration.
# An existing configuration is never touched. DESTDIR=/some/folder installs into a tree that is not this system's root.
set -eu

usage() {
    cat <<'TEXT'
Usage: install.sh [--prefix DIR] [--binary FILE] [--failover] [--dry-run] [--uninstall]

  --prefix DIR    where bin/monitor goes (default /usr/local)
  --binary FILE   the binary to install (default: monitor beside this script, then target/dist and target/release)
  --failover      install (or remove) failover-monitor.service in place of monitor.service
  --dry-run       say what would be done, do nothing
  --uninstall     remove the binary and the unit; configuration, state and logs stay
  --help          this text

DESTDIR in the environment is put before every path; no user is then made and systemd is left alone.
TEXT
}

fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=/usr/local
binary=
failover=no
dry_run=no
uninstall=no
destdir=${DESTDIR:-}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value, see --help" 2
            if [ "$1" = --prefix ]; then prefix=$2; else binary=$2; fi
            shift
            ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --binary=*) binary=${1#--binary=} ;;
        --failover) failover=yes ;;
        --dry-run) dry_run=yes ;;
        --uninstall) uninstall=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail "unknown option $1, see --help" 2 ;;
    esac
    shift
done

case $prefix in
    *[!A-Za-z0-9/._+-]*) fail "--prefix $prefix: use letters, digits and / . _ + - only, it is written into the unit" 2 ;;
    /*) ;;
    *) fail "--prefix $prefix: give an absolute path" 2 ;;
esac

bin_dir=$destdir${prefix%/}/bin
unit_dir=$destdir/etc/systemd/system
if [ "$failover" = yes ]; then
    name="failover-monitor"
    conf_dir=$destdir/opt/failover-monitor
    conf=$conf_dir/config.json
    kept="$conf_dir, /var/lib/failover-monitor and /var/log/failover_monitor.log"
    other=monitor
else
    name=monitor
    conf_dir=$destdir/etc/monitor
    conf=$conf_dir/.env
    kept="$conf_dir, /var/lib/monitor, /var/log/monitor and the user monitor"
    other="failover-monitor"
fi
unit=$unit_dir/$name.service

# Says the step, and does it unless this is a dry run.
step() {
    printf '%s\n' "$*"
    [ "$dry_run" = yes ] || "$@" || fail "this step failed: $*"
}

# Only the running system has users and a systemd to talk to.
live() { [ -z "$destdir" ]; }
systemd_runs() { live && [ -d /run/systemd/system ]; }

# ProtectHome= and friends belong to the unit; here only the path of the binary follows --prefix.
write_unit() {
    sed "s|^ExecStart=/usr/local/bin/monitor |ExecStart=${prefix%/}/bin/monitor |" "$here/$name.service" >"$unit.new" &&
        chmod 0644 "$unit.new" && mv -f "$unit.new" "$unit"
}

# A running agent keeps its old file: the new one takes the name, so there is no "text file busy".
place_binary() {
    install -m 0755 "$binary" "$bin_dir/monitor.new" && mv -f "$bin_dir/monitor.new" "$bin_dir/monitor"
}

# The unit sets STATE_DIR for the agent only: `monitor push` and the others find the agent by what the file says.
write_example() {
    copy_example || return 1
    if [ "$failover" = no ]; then
        printf '\n# Where the unit keeps its state; the command line finds the running agent by it.\nSTATE_DIR=/var/lib/monitor\n' >>"$conf"
    fi
}

copy_example() {
    if [ "$failover" = yes ]; then
        install -m 0640 "$here/failover-config.json" "$conf"
    elif [ -f "$here/../.env.example" ]; then
        install -m 0640 "$here/../.env.example" "$conf_dir/.env"
    elif [ -f "$here/.env.example" ]; then
        install -m 0640 "$here/.env.example" "$conf_dir/.env"
    else
        (umask 0137 && printf '# See docs/reference/configuration.md; check with: monitor check --env-file /etc/monitor/.env\n' >"$conf_dir/.env")
    fi
}

if live && [ "$dry_run" = no ] && [ "$(id -u)" -ne 0 ]; then
    fail "needs root to write to $bin_dir and /etc: run it with sudo, or see what it would do with --dry-run"
fi

if [ "$uninstall" = yes ]; then
    if systemd_runs && [ -f "$unit" ]; then
        step systemctl disable --now "$name.service"
    fi
    step rm -f "$unit"
    if [ -e "$unit_dir/$other.service" ]; then
        printf 'kept %s, which %s.service runs\n' "$bin_dir/monitor" "$other"
    else
        step rm -f "$bin_dir/monitor"
    fi
    if systemd_runs; then
        step systemctl daemon-reload
    fi
    printf 'Kept: %s. Remove them by hand if you are sure.\n' "$kept"
    exit 0
fi

if [ -z "$binary" ]; then
    for candidate in "$here/monitor" "$here/../monitor" "$here/../target/dist/monitor" "$here/../target/release/monitor"; do
        if [ -f "$candidate" ] && [ -x "$candidate" ]; then
            binary=$candidate
            break
        fi
    done
fi
[ -n "$binary" ] || fail "no binary found: build it with \`cargo build --profile dist --locked\`, or name it with --binary FILE"
if [ ! -f "$binary" ] || [ ! -x "$binary" ]; then
    fail "$binary is not an executable file: name the built binary with --binary FILE"
fi
[ -f "$here/$name.service" ] || fail "$name.service is not beside install.sh: run it from the unpacked archive or the repository"

if live && [ "$failover" = no ] && ! id monitor >/dev/null 2>&1; then
    command -v useradd >/dev/null 2>&1 || fail "useradd is missing: install the package passwd, or make the system user monitor yourself"
    step useradd --system --user-group --home-dir /var/lib/monitor --no-create-home --shell /usr/sbin/nologin monitor
fi
step install -d -m 0755 "$bin_dir" "$unit_dir"
step install -d -m 0750 "$conf_dir"
step place_binary
if [ -e "$conf" ]; then
    printf 'kept %s\n' "$conf"
else
    step write_example
fi
if live && [ "$failover" = no ]; then
    # A check before the first start keeps host keys here, as the agent will.
    step install -d -o monitor -g monitor -m 0750 /var/lib/monitor
    step chown root:monitor "$conf_dir" "$conf"
fi
step write_unit
if systemd_runs; then
    step systemctl daemon-reload
    if systemctl is-active --quiet "$name.service"; then
        step systemctl restart "$name.service"
    fi
fi
if [ "$failover" = yes ]; then
    check="failover --check /opt/failover-monitor/config.json"
else
    check="check --env-file /etc/monitor/.env"
fi
printf '\nNext: edit %s, check it with\n  %s %s\nand start with\n  systemctl enable --now %s\n' \
    "$conf" "${prefix%/}/bin/monitor" "$check" "$name"
