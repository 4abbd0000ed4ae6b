#!/usr/bin/env bash
# Deploy a folder of code, by default the current one, to the tags in DEPLOY_TAGS: develop (default), latest or both.
set -euo pipefail
if [[ $# -gt 1 || ${1-} == -* ]]; then
  echo "usage: [DEPLOY_TAGS=\"develop latest\"] scripts/deploy_code.sh [DIR]" >&2
  exit 2
fi
code=$(realpath "${1:-.}")
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
python -m stages.publish deploy --code "$code"
