#!/bin/bash
# What a Debian machine goes through with the package: tests/external/package.rs boots it, and this runs in it as root.
# The first thing that is not as it should be ends it.
set -Eeuo pipefail

package=$(echo /packages/phsweb-agent_*_amd64.deb)
folder=/etc/phsweb-agent
credentials=/run/credentials/phsweb-agent.service

step() { echo "== $*"; }

fail() {
  echo "not so: $*"
  journalctl --no-pager --unit phsweb-agent
  exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# Waits until a command does well, for up to 20 s.
soon() {
  for _ in {1..200}; do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "$*${answer:+; it answered $answer}"
}

property() { systemctl show --value --property "$1" phsweb-agent; }

# Its answer to a path, if it answers.
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

# How often it has read its file again.
reads() { journalctl --unit phsweb-agent | grep --count 'reload=applied' || true; }

has_read_since() { [ "$(reads)" -gt "$1" ]; }

# A file for the simulated router, whose password is a credential.
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

step "Installed, it runs and says what is missing"
dpkg --install "$package"
systemctl is-active phsweb-agent
systemctl is-enabled phsweb-agent
soon says / "$folder/sites.ron"
[ "$(stat -c '%A %U %G' $folder $folder/secrets)" = $'drwxr-s--- root phsweb-agent-config\ndrwx------ root root' ]

step "Its documentation has the licences of what is linked into it"
licenses=/usr/share/doc/phsweb-agent/THIRD-PARTY-LICENSES.txt
[ "$(stat -c '%A %U' $licenses)" = '-rw-r--r-- root' ]
grep -q '^Crate: ring ' $licenses
grep -q $licenses /usr/share/doc/phsweb-agent/copyright

step "The unit is well, and as hardened as it says"
[ -z "$(systemd-analyze verify phsweb-agent.service 2>&1)" ]
pid=$(property MainPID)
status=$(cat "/proc/$pid/status")
[ "$(awk '/^Uid:/ {print $2}' <<<"$status")" -ge 61184 ]
[ "$(awk '/^Gid:/ {print $2}' <<<"$status")" = "$(getent group phsweb-agent-config | cut -d: -f3)" ]
for line in $'CapBnd:\t0000000000000000' $'NoNewPrivs:\t1' $'Seccomp:\t2'; do [[ $status == *"$line"* ]]; done
[ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
# Its memory holds passwords: there are no core files, and who reads it must be root.
grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits"
[ "$(stat -c %U "/proc/$pid/environ")" = root ]
awk '$5 == "/" {options = $6} END {exit options !~ /^ro,.*noexec/}' "/proc/$pid/mountinfo"

step "It begins by itself, with a secret that it has by credential only"
phsweb-agent simulate --port 0 >/tmp/router &
soon grep -q '^127.0.0.1:' /tmp/router
router=$(grep -o '^127.0.0.1:[0-9]*' /tmp/router)
sites Awka >$folder/sites.ron
soon says / secrets_awka
echo password >$folder/secrets/awka
systemctl restart phsweb-agent
soon is_online
phsweb-agent check $folder/sites.ron

step "A secret in its file is read by the service, and by no other user"
sed -i 's|File(.*)|Plain("password")|' $folder/sites.ron
[ "$(stat -c '%G' $folder/sites.ron)" = phsweb-agent-config ]
before=$(reads)
systemctl reload phsweb-agent
soon has_read_since "$before"
soon is_online
if su -s /bin/sh -c "cat $folder/sites.ron" nobody; then fail "nobody reads it"; fi
checked=$(phsweb-agent check $folder/sites.ron)
[[ $checked != *warning* ]]
sites Awka >$folder/sites.ron
soon is_online

step "Its own figures are there, and memory is well below the limit"
metrics=$(ask /metrics)
grep -E '^process_open_fds [0-9]+' <<<"$metrics"
memory=$(awk '/^process_resident_memory_bytes/ {print $2}' <<<"$metrics")
[ "$memory" -lt $(($(property MemoryMax) / 2)) ]

step "A reload takes a changed file, but no changed secret: that takes a restart"
pid=$(property MainPID)
sites "Awka Hotel" >$folder/sites.ron
echo changed >$folder/secrets/awka
systemctl reload phsweb-agent
soon says /api/hotspot/stats '"Awka Hotel"'
# It would be taken without one, too, but only a reload reads again what is as it was.
before=$(reads)
systemctl reload phsweb-agent
soon has_read_since "$before"
[ "$(property MainPID)" = "$pid" ]
[ "$(cat $credentials/secrets_awka)" = password ]
systemctl restart phsweb-agent
[ "$(cat $credentials/secrets_awka)" = changed ]
soon says /api/hotspot/stats '"auth"'
echo password >$folder/secrets/awka

step "Killed, it comes back"
pid=$(property MainPID)
systemctl kill --signal KILL phsweb-agent
soon is_online
[ "$(property MainPID)" != "$pid" ]

step "A wrong file ends neither what runs nor the next start, and both say so"
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

step "Removed, it leaves what the owner wrote; purged, nothing"
dpkg --remove phsweb-agent
cmp /tmp/good $folder/sites.ron
if ask /healthz; then fail "it is gone"; fi
dpkg --purge phsweb-agent
[ -z "$(find / /run -xdev -name '*phsweb-agent*' -print)" ]
if getent group phsweb-agent-config; then fail "the group is gone"; fi
[ "$(property LoadState)" = not-found ]
