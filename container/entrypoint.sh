#!/usr/bin/env bash
# Boot the store, deploy the code of DEPLOY_TAG, then become the command: `python -m app` where none is given.
#
#   MORPHSTREAM_STORE    folder of verified artifacts         /var/lib/morphstream/store
#   MORPHSTREAM_SOURCE   folders, hub:ORG/REPO, with commas   /opt/morphstream/baked
#   MORPHSTREAM_TARGET   auto, cpu, rtx-sm89, a cache key     auto
#   DEPLOY_TAG           develop or latest                    none: the command runs without deployed code
#   DEPLOY_SOURCE        as MORPHSTREAM_SOURCE                that
#   DEPLOY_CHECK         command that a release must pass     none
#   DEPLOY_TIMEOUT_S     seconds in which it must             60
#   DEPLOY_REQUIRED      1: end where there is no release     none: go on without
#   MORPHSTREAM_APP      folder of releases                   /var/lib/morphstream/app
#   HF_TOKEN_FILE        file with HF_TOKEN, such as a secret none
#
# Every step says on stderr how long it took and what came of it. What boot and deploy print goes there too, so that
# stdout is the command's alone. A signal ends the step that runs, and this script with 128 + its number.
set -euo pipefail

store=${MORPHSTREAM_STORE:-/var/lib/morphstream/store}
source=${MORPHSTREAM_SOURCE:-/opt/morphstream/baked}
target=${MORPHSTREAM_TARGET:-auto}
tag=${DEPLOY_TAG:-}
app=${MORPHSTREAM_APP:-/var/lib/morphstream/app}
export MORPHSTREAM_STORE=$store MORPHSTREAM_SOURCE=$source
if [[ -z ${HF_TOKEN:-} && -n ${HF_TOKEN_FILE:-} ]]; then
  HF_TOKEN=$(<"$HF_TOKEN_FILE")
  export HF_TOKEN
fi

child=
stopped=
taken=

say() { # STEP REASON
  printf 'entrypoint: %s: %s\n' "$1" "$2" >&2
}

stop() { # SIGNAL NUMBER
  stopped=$2
  if [[ -z $child ]]; then
    say "$1" "ended between two steps"
    exit "$stopped"
  fi
  kill -TERM "$child" 2>/dev/null || true # the shell has its children ignore INT
}
trap 'stop INT 130' INT
trap 'stop TERM 143' TERM

# Run a step as a child that signals reach; its code is returned, its seconds are in $taken.
run() { # COMMAND...
  local code start=${EPOCHREALTIME/[.,]/} micros
  child=next # that is being started: a signal that comes now is told to it below
  "$@" </dev/null >&2 &
  child=$!
  [[ -z $stopped ]] || kill -TERM "$child" 2>/dev/null || true
  while true; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break # else a signal cut the waiting short
  done
  child=
  micros=$((${EPOCHREALTIME/[.,]/} - start))
  printf -v taken '%d.%02d s' $((micros / 1000000)) $((micros % 1000000 / 10000))
  return "$code"
}

end_if_stopped() { # STEP
  if [[ -n $stopped ]]; then
    say "$1 $taken" "ended by a signal, exit $stopped"
    exit "$stopped"
  fi
}

code=0
run morphstream boot --store "$store" --source "$source" --target "$target" || code=$?
end_if_stopped boot
if ((code)); then
  say "boot $taken" "refused for target $target, exit $code"
  exit "$code"
fi
say "boot $taken" "$store is good"

if [[ -z $tag ]]; then
  say deploy "no DEPLOY_TAG, no code is deployed"
else
  run morphstream deploy "$tag" --source "${DEPLOY_SOURCE:-$source}" --into "$app" \
    --check "${DEPLOY_CHECK:-}" --timeout "${DEPLOY_TIMEOUT_S:-60}" || code=$?
  end_if_stopped deploy
  release=$(realpath -e "$app/current" 2>/dev/null) || release= # not the link, which another may switch meanwhile
  if [[ -z $release ]]; then
    if [[ -n ${DEPLOY_REQUIRED:-} ]]; then
      say "deploy $taken" "refused with exit $code, there is no release before, and DEPLOY_REQUIRED is set"
      exit "$code"
    fi
    say "deploy $taken" "refused with exit $code, there is no release before, going on without"
  else
    export PYTHONPATH=$release${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
    if ((code)); then
      say "deploy $taken" "refused with exit $code, going on with the release before, ${release##*/}"
    else
      say "deploy $taken" "release ${release##*/}"
    fi
  fi
fi

(($#)) || set -- python -m app
say exec "$*"
trap - INT TERM
exec "$@"
