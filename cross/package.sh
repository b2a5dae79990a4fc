#!/usr/bin/env bash
# cross/package.sh [TARGET…]: makes Debian packages of the binaries from cross/build.sh, by default for all four targets:
# target/cross/debian/phsweb-agent_VERSION_ARCH.deb. The same binary and commit give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf \
  armv5te-unknown-linux-musleabi x86_64-unknown-linux-musl

missing() { printf 'cross/package.sh: %s\n' "$@" >&2; exit 3; }

# Without its default features, cargo-deb compresses with Debian's xz and needs no C library.
version=3.8.0
[ "$(cargo deb --version 2>/dev/null)" = "cargo-deb $version" ] || missing "no cargo-deb $version;" \
  "cargo install --locked --version $version --no-default-features cargo-deb"
command -v xz >/dev/null || missing "no xz; apt-get install xz-utils"

# The date of all files in the packages.
umask 022
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} ||
  missing "git has no date of the commit; set SOURCE_DATE_EPOCH to a time, in seconds since 1970"
export SOURCE_DATE_EPOCH

# The program itself prints its manual page and completions. They are the same for all boards.
share=target/cross/share
mkdir -p "$share"
program() { cargo run --quiet --locked -- "$@"; }
program man > "$share/phsweb-agent.1"
for shell in bash fish zsh; do program completions "$shell" > "$share/phsweb-agent.$shell"; done

export CARGO_TARGET_DIR=target/cross
for target; do
  binary=$CARGO_TARGET_DIR/$target/release/phsweb-agent
  [ -e "$binary" ] || missing "no $binary; make it with cross/build.sh $target"
  package=$(cargo deb --quiet --locked --no-build --no-strip --target "$target" --output target/cross/debian/)
  ls -l "$package"
done
