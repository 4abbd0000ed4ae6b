#!/usr/bin/env bash
# Pack an engine cache of build/trt_cache, such as `sm89 trt10.14_ort1.24`; by default the latest of each arch and
# builder. With --upload, publish the archives.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
upload=false
key=()
for argument in "$@"; do
  case $argument in
    --upload) upload=true ;;
    -*) key=(wrong usage here) ;; # three words, so that the check below prints the usage
    *) key+=("$argument") ;;
  esac
done
if [[ ${#key[@]} -ne 0 && ${#key[@]} -ne 2 ]]; then
  echo "usage: scripts/pack_trt_cache.sh [ARCH KEY] [--upload]" >&2
  exit 2
fi
archives=$(python -m stages.pack --cache "${key[@]}")
echo "$archives"
if $upload; then
  mapfile -t names <<< "$archives"
  python -m stages.publish archives "${names[@]}"
fi
