#!/usr/bin/env bash
# cross/image.sh [TARGET…]: makes container images of the binaries from cross/build.sh, by default for all four targets:
# target/cross/phsweb-agent-ARCH.tar, in the format of `docker save`, with one uncompressed layer, which RouterOS can
# load. The same binary gives the same bytes.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf \
  armv5te-unknown-linux-musleabi x86_64-unknown-linux-musl

archive() { tar --create --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }

# The user and group of the agent, which exist on no host. They are numbers, because the image has no /etc/passwd.
user=65532:65532

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
for target; do
  case $target in
    aarch64-*) arch=arm64 platform='"architecture":"arm64","variant":"v8"' ;;
    armv7-*) arch=armv7 platform='"architecture":"arm","variant":"v7"' ;;
    armv5te-*) arch=armv5 platform='"architecture":"arm","variant":"v5"' ;;
    x86_64-*) arch=amd64 platform='"architecture":"amd64"' ;;
    *) echo "cross/image.sh: there is no image for $target" >&2; exit 2 ;;
  esac
  binary=target/cross/$target/release/phsweb-agent
  [ -e "$binary" ] || { echo "cross/image.sh: no $binary; make it with cross/build.sh $target" >&2; exit 3; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  root=$work/root image=$work/image
  # The root is read-only, so the folders for all mounts must exist.
  install -d "$root"/{dev,etc/phsweb-agent,proc,run,sys} "$image"
  install -d -m 1777 "$root/tmp"
  install -d -m 700 "$root/var/lib/phsweb-agent"
  install -m 755 "$binary" "$root/phsweb-agent"
  install -D -m 644 --target-directory "$root/usr/share/doc/phsweb-agent" sites.ron cross/THIRD-PARTY-LICENSES.txt
  archive --file "$work/layer.tar" --directory "$root" --exclude=./var/lib/phsweb-agent .
  # Docker gives a new volume to the owner of the folder where it is mounted.
  tar --append --format=ustar --mtime=@0 --owner=${user%:*} --group=${user#*:} --numeric-owner \
    --file "$work/layer.tar" --directory "$root" ./var/lib/phsweb-agent
  layer=$(digest "$work/layer.tar")
  install -D -m 644 "$work/layer.tar" "$image/$layer/layer.tar"
  cat > "$work/config.json" <<JSON
{$platform,"os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"$user","Entrypoint":["/phsweb-agent"],
"Cmd":["run","--wait","--config","/etc/phsweb-agent/sites.ron","--listen","0.0.0.0:8080"],
"WorkingDir":"/","ExposedPorts":{"8080/tcp":{}},
"Labels":{"org.opencontainers.image.title":"phsweb-agent","org.opencontainers.image.version":"$version",
"org.opencontainers.image.licenses":"MIT OR Apache-2.0"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
"history":[{"created":"1970-01-01T00:00:00Z","created_by":"cross/image.sh"}]}
JSON
  config=$(digest "$work/config.json")
  install -m 644 "$work/config.json" "$image/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["phsweb-agent:%s"],"Layers":["%s/layer.tar"]}]\n' \
    "$config" "$version" "$layer" > "$image/manifest.json"
  archive --file "target/cross/phsweb-agent-$arch.tar" --directory "$image" "$config.json" "$layer" manifest.json
  rm -rf "$work"
  ls -l "target/cross/phsweb-agent-$arch.tar"
done
