#!/usr/bin/env bash
# Boot the store, deploy the code of DEPLOY_TAG, then become the command: `python -m app` where none is given.
#
#   MORPHSTREAM_STORE    folder of verified artifacts         /var/lib/morphstream/store
#   MORPHSTREAM_SOURCE   folders, hub:ORG/REPO, with commas   /opt/morphstream/baked
#   MORPHSTREAM_TARGET   auto, cpu, rtx-sm89, a cache key     auto
#   MORPHSTREAM_GROUPS   core,masks,inswapper_128             all that are published
#   MORPHSTREAM_BUILD    folder of the pipeline, to build by  none: what nobody has published isn't built here
#   MORPHSTREAM_CONTRIBUTE  ORG/REPO for what was built       none: it isn't published
#   MORPHSTREAM_BOOT_REPORT  file for what boot did           /tmp/morphstream-boot.json
#   DEPLOY_TAG           develop or latest                    none: the command runs without deployed code
#   DEPLOY_SOURCE        as MORPHSTREAM_SOURCE                that
#   DEPLOY_CHECK         command that a release must pass     none
#   DEPLOY_TIMEOUT_S     seconds in which it must             60
#   DEPLOY_REQUIRED      1: end where there is no release     none: go on without
#   MORPHSTREAM_APP      folder of releases                   /var/lib/morphstream/app
#   HF_TOKEN_FILE        file with HF_TOKEN, such as a secret none
#
# Every step says on stderr how long it took and what came of it. What boot and deploy print goes there too, so that
# stdout is the command's alone. A signal ends the step that runs, and this script with 128 + its number. Of boot's
# report MORPHSTREAM_BOOT_REPORT tells the command, which may lack it: where the file can't be written, it is unset.
#
# The command inherits a descriptor with a shared lock on its release, so that no deployment removes that before it ends.
set -euo pipefail

store=${MORPHSTREAM_STORE:-/var/lib/morphstream/store}
source=${MORPHSTREAM_SOURCE:-/opt/morphstream/baked}
target=${MORPHSTREAM_TARGET:-auto}
report=${MORPHSTREAM_BOOT_REPORT:-/tmp/morphstream-boot.json}
tag=${DEPLOY_TAG:-}
app=${MORPHSTREAM_APP:-/var/lib/morphstream/app}
export MORPHSTREAM_STORE=$store MORPHSTREAM_SOURCE=$source
child=
stopped=
taken=

say() { # STEP REASON
  printf 'entrypoint: %s: %s\n' "$1" "$2" >&2
}

if [[ -z ${HF_TOKEN:-} && -n ${HF_TOKEN_FILE:-} ]]; then
  if [[ ! -r $HF_TOKEN_FILE ]]; then
    say token "$HF_TOKEN_FILE: expected a file that this user may read, seen none; mend HF_TOKEN_FILE, or unset it"
    exit 1
  fi
  HF_TOKEN=$(<"$HF_TOKEN_FILE")
  export HF_TOKEN
fi

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

boot() { # becomes a step's child
  local options=(--store "$store" --source "$source" --target "$target")
  [[ -z ${MORPHSTREAM_GROUPS:-} ]] || options+=(--groups "$MORPHSTREAM_GROUPS")
  [[ -z ${MORPHSTREAM_BUILD:-} ]] || options+=(--build "$MORPHSTREAM_BUILD")
  [[ -z ${MORPHSTREAM_CONTRIBUTE:-} ]] || options+=(--contribute "$MORPHSTREAM_CONTRIBUTE")
  [[ -n $report ]] || exec morphstream boot "${options[@]}"
  exec morphstream boot "${options[@]}" --json >"$report"
}

# Say what the second best was taken for, out of boot's report; nothing where all went as it should.
fallbacks() {
  local words
  [[ -n $report && $(<"$report") =~ \"fallbacks\":\ \[([^]]+)\] ]] || return 0
  words=${BASH_REMATCH[1]//[$'"\n']/}
  read -ra words <<<"$words"
  printf ', but by the second best (%s); see the warnings above' "${words[*]}"
}

# Hold the current release: its folder is in $release, none where there is none. It is the folder and not the link,
# which another may switch meanwhile. Python has the lock taken on the shell's own descriptor.
hold() {
  local _
  for _ in {1..20}; do
    release=$(realpath -e "$app/current/code" 2>/dev/null) || release=
    release=${release%/code}
    [[ -n $release || -L $app/current ]] || return 0
    if [[ -r $release/held ]] && exec {held}<"$release/held"; then
      if python -IS -c 'import fcntl, sys; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_SH | fcntl.LOCK_NB)' "$held" \
        2>/dev/null && [[ /dev/fd/$held -ef $app/current/held ]]; then
        return 0 # it was current when it was locked already, and so nobody had begun to remove it
      fi
      exec {held}<&-
    fi
    sleep 0.05
  done
  [[ -z $release ]] || say hold "expected a lock on $release/held, seen none to be had; a deployment may remove that release"
}

if ! reason=$({ : >"$report"; } 2>&1); then
  say report "$report: expected a file to write, seen ${reason##*: }; going on without"
  report=
fi
code=0
run boot || code=$?
end_if_stopped boot
if ((code)); then
  say "boot $taken" "refused for target $target, exit $code"
  exit "$code"
fi
say "boot $taken" "$store is good$(fallbacks)"
if [[ -n $report ]]; then
  export MORPHSTREAM_BOOT_REPORT=$report
else
  unset MORPHSTREAM_BOOT_REPORT
fi

if [[ -z $tag ]]; then
  say deploy "no DEPLOY_TAG, no code is deployed"
else
  run morphstream deploy --source "${DEPLOY_SOURCE:-$source}" --into "$app" --check "${DEPLOY_CHECK:-}" \
    --timeout "${DEPLOY_TIMEOUT_S:-60}" -- "$tag" || code=$?
  end_if_stopped deploy
  hold
  if [[ -z $release ]]; then
    if [[ -n ${DEPLOY_REQUIRED:-} ]]; then
      say "deploy $taken" "refused with exit $code, there is no release before, and DEPLOY_REQUIRED is set"
      exit $((code ? code : 1))
    fi
    say "deploy $taken" "refused with exit $code, there is no release before, going on without"
  else
    export PYTHONPATH=$release/code${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
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
