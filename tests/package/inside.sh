#!/bin/bash
# Tests the Debian package from install to purge. tests/external/package.rs boots a container and runs this as root in it.
# The first failed check ends the script.
set -Eeuo pipefail

package=$(echo /packages/phsweb-agent_*_amd64.deb)
folder=/etc/phsweb-agent
credentials=/run/credentials/phsweb-agent.service

step() { echo "== $*"; }

fail() {
  echo "failed: $*"
  journalctl --no-pager --unit phsweb-agent
  exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# Waits until a command succeeds, for up to 20 s.
soon() {
  for _ in {1..200}; do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "$*${answer:+; it answered $answer}"
}

property() { systemctl show --value --property "$1" phsweb-agent; }

# The agent's response to a path, if there is one.
ask() (
  exec 3<>/dev/tcp/127.0.0.1/8080
  printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
  cat <&3
) 2>/dev/null

says() {
  answer=$(ask "$1")
  [[ $answer == *"$2"* ]]
}

is_online() { says /api/hotspot/stats '"isOnline":true'; }

# The number of reloads of the file.
reads() { journalctl --unit phsweb-agent | grep --count 'reload=applied' || true; }

has_read_since() { [ "$(reads)" -gt "$1" ]; }

# A configuration for the simulated router, whose password is a credential.
sites() {
  cat <<END
(sites: {"awka": (
    name: "$1",
    hosts: ["$router"],
    user: "api-user",
    password: File("$credentials/secrets_awka"),
)})
END
}

step "After the installation the agent runs and reports the missing file"
dpkg --install "$package"
systemctl is-active phsweb-agent
systemctl is-enabled phsweb-agent
soon says / "$folder/sites.ron"
[ "$(stat -c '%A %U %G' $folder $folder/secrets)" = $'drwxr-s--- root phsweb-agent-config\ndrwx------ root root' ]

step "The documentation contains the licences of all linked crates"
licenses=/usr/share/doc/phsweb-agent/THIRD-PARTY-LICENSES.txt
[ "$(stat -c '%A %U' $licenses)" = '-rw-r--r-- root' ]
grep -q '^Crate: ring ' $licenses
grep -q $licenses /usr/share/doc/phsweb-agent/copyright

step "The unit is valid and its hardening is effective"
[ -z "$(systemd-analyze verify phsweb-agent.service 2>&1)" ]
pid=$(property MainPID)
status=$(cat "/proc/$pid/status")
[ "$(awk '/^Uid:/ {print $2}' <<<"$status")" -ge 61184 ]
[ "$(awk '/^Gid:/ {print $2}' <<<"$status")" = "$(getent group phsweb-agent-config | cut -d: -f3)" ]
for line in $'CapBnd:\t0000000000000000' $'NoNewPrivs:\t1' $'Seccomp:\t2'; do [[ $status == *"$line"* ]]; done
[ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
# Its memory contains passwords: core files are disabled, and only root can read it.
grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits"
[ "$(stat -c %U "/proc/$pid/environ")" = root ]
awk '$5 == "/" {options = $6} END {exit options !~ /^ro,.*noexec/}' "/proc/$pid/mountinfo"

step "It starts once the file exists, with a secret from a credential"
phsweb-agent simulate --port 0 >/tmp/router &
soon grep -q '^127.0.0.1:' /tmp/router
router=$(grep -o '^127.0.0.1:[0-9]*' /tmp/router)
sites Awka >$folder/sites.ron
soon says / secrets_awka
echo password >$folder/secrets/awka
systemctl restart phsweb-agent
soon is_online
phsweb-agent check $folder/sites.ron

step "A secret in its file is readable by the service only"
sed -i 's|File(.*)|Plain("password")|' $folder/sites.ron
[ "$(stat -c '%G' $folder/sites.ron)" = phsweb-agent-config ]
before=$(reads)
systemctl reload phsweb-agent
soon has_read_since "$before"
soon is_online
if su -s /bin/sh -c "cat $folder/sites.ron" nobody; then fail "the user nobody can read the file"; fi
checked=$(phsweb-agent check $folder/sites.ron)
[[ $checked != *warning* ]]
sites Awka >$folder/sites.ron
soon is_online

step "It exports process metrics, and its memory is well below the limit"
metrics=$(ask /metrics)
grep -E '^process_open_fds [0-9]+' <<<"$metrics"
memory=$(awk '/^process_resident_memory_bytes/ {print $2}' <<<"$metrics")
[ "$memory" -lt $(($(property MemoryMax) / 2)) ]

step "Its data is in a directory that only the service can read"
soon says /api/config '"isSaving":true'
[ "$(stat -c '%A' /var/lib/private/phsweb-agent)" = drwx------ ]
[ "$(stat -c '%A' /var/lib/private/phsweb-agent/lock)" = -rw------- ]

step "A reload applies a changed file, but a changed secret needs a restart"
pid=$(property MainPID)
sites "Awka Hotel" >$folder/sites.ron
echo changed >$folder/secrets/awka
systemctl reload phsweb-agent
soon says /api/hotspot/stats '"Awka Hotel"'
# A changed file is applied without a reload, too. An unchanged one is read again by a reload only.
before=$(reads)
systemctl reload phsweb-agent
soon has_read_since "$before"
[ "$(property MainPID)" = "$pid" ]
[ "$(cat $credentials/secrets_awka)" = password ]
systemctl restart phsweb-agent
[ "$(cat $credentials/secrets_awka)" = changed ]
soon says /api/hotspot/stats '"auth"'
echo password >$folder/secrets/awka

step "It restarts after it is killed"
pid=$(property MainPID)
systemctl kill --signal KILL phsweb-agent
soon is_online
[ "$(property MainPID)" != "$pid" ]

step "An invalid file stops neither the running agent nor the next start, and both report it"
cp $folder/sites.ron /tmp/good
echo '(' >$folder/sites.ron
pid=$(property MainPID)
systemctl reload phsweb-agent
soon says /api/config sites.ron:
soon is_online
[ "$(property MainPID)" = "$pid" ]
systemctl restart phsweb-agent
soon says / sites.ron:
cp /tmp/good $folder/sites.ron
soon is_online

step "An upgrade to the same version restarts it and keeps the file"
pid=$(property MainPID)
dpkg --install "$package"
soon is_online
[ "$(property MainPID)" != "$pid" ]
cmp /tmp/good $folder/sites.ron

step "It stops within 2 s"
began=$(date +%s%N)
systemctl stop phsweb-agent
[ $((($(date +%s%N) - began) / 1000000)) -lt 2000 ]
[ "$(property Result)" = success ]
systemctl start phsweb-agent
soon is_online

step "A removal keeps the files of the owner, a purge deletes everything"
dpkg --remove phsweb-agent
cmp /tmp/good $folder/sites.ron
if ask /healthz; then fail "expected no running agent"; fi
dpkg --purge phsweb-agent
[ -z "$(find / /run -xdev -name '*phsweb-agent*' -print)" ]
if getent group phsweb-agent-config; then fail "expected no group"; fi
[ "$(property LoadState)" = not-found ]
