#!/usr/bin/env bash
# Pack the models that images contain into archives/models-core-masks.tar.zst. With --upload, publish that archive.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
if [[ $# -gt 1 || ( $# -eq 1 && $1 != --upload ) ]]; then
  echo "usage: scripts/pack_models.sh [--upload]" >&2
  exit 2
fi
python -m stages.pack --models
if [[ ${1-} == --upload ]]; then
  python -m stages.publish archives models-core-masks
fi
