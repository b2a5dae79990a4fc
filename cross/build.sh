#!/usr/bin/env bash
# cross/build.sh [TARGET…]: builds static release binaries for small machines, by default for all four targets, as
# target/cross/TARGET/release/phsweb-agent. The same source, rustc and zig give the same bytes.
#
# Rust's standard library comes from rustup if it has one for the target. Otherwise it is built from Debian's
# rust-web-src, which needs only Debian's server and makes the binary smaller.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf \
  armv5te-unknown-linux-musleabi x86_64-unknown-linux-musl

missing() { printf 'cross/build.sh: %s\n' "$@" >&2; exit 3; }

# zig's names of a target and its oldest CPU: armv5te is for the EN7562CT, which has no FPU and does not run ARMv7 code.
zig_flags() {
  case $1 in
    aarch64-unknown-linux-musl) echo -target aarch64-linux-musl -mcpu=generic ;;
    armv7-unknown-linux-musleabihf) echo -target arm-linux-musleabihf -mcpu=generic+v7a+vfp3d16+thumb2 ;;
    armv5te-unknown-linux-musleabi) echo -target arm-linux-musleabi -mcpu=arm926ej_s+strict_align+soft_float ;;
    x86_64-unknown-linux-musl) echo -target x86_64-linux-musl -mcpu=x86_64 ;;
    *) missing "unknown target $1; expected aarch64-unknown-linux-musl, armv7-unknown-linux-musleabihf," \
      "armv5te-unknown-linux-musleabi or x86_64-unknown-linux-musl" ;;
  esac
}

# cargo calls zig from other folders, and with another PATH.
if [ -z "${ZIG:-}" ]; then ZIG=$(command -v zig || echo "$(command -v python3) -m ziglang"); fi
case $ZIG in /*) ;; */*) ZIG=$PWD/$ZIG ;; esac
$ZIG version >/dev/null 2>&1 || missing "no zig, which compiles the C of ring and links;" \
  "python3 -m venv target/zig && target/zig/bin/pip install ziglang==0.15.2, then" \
  "ZIG='target/zig/bin/python3 -m ziglang' cross/build.sh"
export ZIG ZIG_GLOBAL_CACHE_DIR=$PWD/target/cross/zig ZIG_LOCAL_CACHE_DIR=$PWD/target/cross/zig

# Debian's Rust is stable, but building the standard library is an unstable feature.
debian() { PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo "$@"; }
has_debian() {
  [ -e /usr/lib/rustlib/src/rust/library/Cargo.toml ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] &&
    printf '%s\n' "$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)" \
      "$(/usr/bin/rustc --version | cut -d' ' -f2)" | sort --version-sort --check=quiet
}

# Flags of targets are given as TOML, so that they may contain spaces. These variables would override them.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
with_rustup=() with_debian=() options=()
for target; do
  zig=$(zig_flags "$target")
  # Nothing unwinds, so no table for it is needed.
  flags=(-Ctarget-feature=+crt-static -Crelocation-model=static -Clink-self-contained=no
    -Cforce-unwind-tables=no -Cllvm-args=-enable-machine-outliner=always)
  # Equal ends of blocks are merged also if they are short, and in functions with many.
  flags+=(-Cllvm-args=-tail-merge-size=2 -Cllvm-args=-tail-merge-threshold=2000)
  # Inlined functions with large frames would make the frame of the caller so large that each access to it takes longer
  # instructions.
  flags+=(-Cllvm-args=-inline-max-stacksize=256)
  if [ -e "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$target/lib" ]; then
    cargo=cargo with_rustup+=(--target "$target")
  else
    has_debian || missing "no standard library for $target;" \
      "rustup target add $target, or on Debian 12 with its security updates: apt-get install rustc-web cargo-web rust-web-src"
    cargo=debian with_debian+=(--target "$target")
    # Derived Debug prints only the names of types and variants: nothing prints the fields, so their code is left out.
    flags+=(-Zfmt-debug=shallow)
  fi
  for flag in $zig; do flags+=("-Clink-arg=$flag"); done
  # The binary must not contain paths of this machine. The sources must exist before their folders can be listed, and each
  # cargo may have a folder of its own.
  $cargo fetch --quiet --locked
  flags+=("--remap-path-prefix=$PWD/=")
  for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do flags+=("--remap-path-prefix=$folder="); done
  options+=(--config "target.$target.rustflags=[$(printf "'%s'," "${flags[@]}")]")

  name=${target//-/_}
  export "CC_$name=$PWD/cross/zcc" "AR_$name=$PWD/cross/zar"
  export "CFLAGS_$name=$zig -fno-asynchronous-unwind-tables -fno-unwind-tables"
  export "CARGO_TARGET_${name^^}_LINKER=$PWD/cross/zcc"
done

options+=(--locked --release --target-dir target/cross)
[ ${#with_rustup[@]} = 0 ] || cargo build "${options[@]}" "${with_rustup[@]}"
if [ ${#with_debian[@]} != 0 ]; then
  options+=(-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size)
  # The place of a panic is known for this crate, also if it called a dependency wrongly, but not within dependencies.
  options+=(-Z profile-rustflags --config 'profile.release.package."*".rustflags=["-Zlocation-detail=none"]')
  debian build "${options[@]}" "${with_debian[@]}"
fi
for target; do ls -l "target/cross/$target/release/phsweb-agent"; done
