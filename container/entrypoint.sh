#!/usr/bin/env bash
# Boot the store, deploy the code of DEPLOY_TAG, then execute the command, by default `python -m app`.
#
#   variable                 value                                  default
#   MORPHSTREAM_STORE        folder of verified artifacts           /var/lib/morphstream/store
#   MORPHSTREAM_SOURCE       folders or hub:ORG/REPO, by commas     /opt/morphstream/baked
#   MORPHSTREAM_TARGET       auto, cpu, rtx-sm89 or a cache key     auto
#   MORPHSTREAM_GROUPS       such as core,masks,inswapper_128       every published group
#   MORPHSTREAM_BUILD        folder of the pipeline, which builds   unset: missing engines are not built here
#                            engines that no source has
#   MORPHSTREAM_CONTRIBUTE   ORG/REPO to publish built engines in   unset: they are not published
#   MORPHSTREAM_WARM         1: boot opens every engine once, so     unset: the first worker compiles them
#                            that what it compiles then is kept
#   MORPHSTREAM_BOOT_REPORT  file for the report of the boot        /tmp/morphstream-boot.json
#   DEPLOY_TAG               develop or latest                      unset: the command runs without deployed code
#   DEPLOY_SOURCE            like MORPHSTREAM_SOURCE                MORPHSTREAM_SOURCE
#   DEPLOY_CHECK             command that a release must pass       unset: no check
#   DEPLOY_TIMEOUT_S         limit of that command in seconds       60
#   DEPLOY_REQUIRED          1: exit if there is no release         unset: continue without deployed code
#   MORPHSTREAM_APP          folder of releases                     /var/lib/morphstream/app
#   HF_TOKEN_FILE            file with HF_TOKEN, such as a secret   unset
#   MORPHSTREAM_TOKEN_FILE   file with MORPHSTREAM_TOKEN, which     unset: a token is made and printed
#                            opens the page
#
# Every step logs its duration and its result on stderr. The output of boot and deploy goes to stderr too, so that
# stdout has only the command's output. A signal stops the running step, and this script exits with 128 + its number.
# The command finds the boot report through MORPHSTREAM_BOOT_REPORT, which is unset if the file can't be written.
#
# The command inherits a descriptor with a shared lock on its release, which no deployment removes while it runs.
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
elapsed=

log() { # STEP MESSAGE
  printf 'entrypoint: %s: %s\n' "$1" "$2" >&2
}

for name in HF_TOKEN MORPHSTREAM_TOKEN; do
  variable=${name}_FILE
  file=${!variable:-}
  if [[ -z ${!name:-} && -n $file ]]; then
    if [[ ! -r $file || -p $file ]]; then # which would be waited for
      log token "$file: expected a readable file, seen none; correct or unset $variable"
      exit 1
    fi
    export "$name=$(<"$file")"
  fi
done

stop() { # SIGNAL NUMBER
  stopped=$2
  if [[ -z $child ]]; then
    log "$1" "stopped between two steps"
    exit "$stopped"
  fi
  kill -TERM "$child" 2>/dev/null || true # TERM, because the shell makes its children ignore INT
}
trap 'stop INT 130' INT
trap 'stop TERM 143' TERM

# Run a step as a child process that signals stop. Return its exit code; set $elapsed to its duration.
run() { # COMMAND...
  local code start=${EPOCHREALTIME/[.,]/} micros
  child=next # it starts now: a signal before its id is known is forwarded below
  "$@" </dev/null >&2 &
  child=$!
  [[ -z $stopped ]] || kill -TERM "$child" 2>/dev/null || true
  while true; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break # else a signal interrupted the wait
  done
  child=
  micros=$((${EPOCHREALTIME/[.,]/} - start))
  printf -v elapsed '%d.%02d s' $((micros / 1000000)) $((micros % 1000000 / 10000))
  return "$code"
}

end_if_stopped() { # STEP
  if [[ -n $stopped ]]; then
    log "$1 $elapsed" "stopped by a signal, exit $stopped"
    exit "$stopped"
  fi
}

boot() { # runs as the child process of a step
  local options=(--store "$store" --source "$source" --target "$target")
  [[ -z ${MORPHSTREAM_GROUPS:-} ]] || options+=(--groups "$MORPHSTREAM_GROUPS")
  [[ -z ${MORPHSTREAM_BUILD:-} ]] || options+=(--build "$MORPHSTREAM_BUILD")
  [[ -z ${MORPHSTREAM_CONTRIBUTE:-} ]] || options+=(--contribute "$MORPHSTREAM_CONTRIBUTE")
  [[ -z ${MORPHSTREAM_WARM:-} ]] || options+=(--warm)
  [[ -n $report ]] || exec morphstream boot "${options[@]}"
  exec morphstream boot "${options[@]}" --json >"$report"
}

# Print the fallbacks that the boot report lists; print nothing if there are none.
fallbacks() {
  local words
  [[ -n $report && $(<"$report") =~ \"fallbacks\":\ \[([^]]+)\] ]] || return 0
  words=${BASH_REMATCH[1]//[$'"\n']/}
  read -ra words <<<"$words"
  printf ', with fallbacks (%s); see the warnings above' "${words[*]}"
}

# Lock the current release and set $release to its folder, or to nothing if there is no release. It is the folder and
# not the link, because another process may switch the link. Python locks the shell's own descriptor.
hold() {
  local _
  for _ in {1..20}; do
    release=$(realpath -e "$app/current/code" 2>/dev/null) || release=
    release=${release%/code}
    [[ -n $release || -L $app/current ]] || return 0
    if [[ -r $release/held ]] && exec {held}<"$release/held"; then
      if python -IS -c 'import fcntl, sys; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_SH | fcntl.LOCK_NB)' "$held" \
        2>/dev/null && [[ /dev/fd/$held -ef $app/current/held ]]; then
        return 0 # the locked release is still current, so no process had started to remove it
      fi
      exec {held}<&-
    fi
    sleep 0.05
  done
  [[ -z $release ]] || log hold "expected a lock on $release/held, seen it unavailable; a deployment may remove that release"
}

if [[ -p $report ]]; then
  log report "$report: expected a writable file, seen a pipe; continuing without it"
  report=
elif ! reason=$({ : >"$report"; } 2>&1); then
  log report "$report: expected a writable file, seen ${reason##*: }; continuing without it"
  report=
fi
code=0
run boot || code=$?
end_if_stopped boot
if ((code)); then
  log "boot $elapsed" "failed for target $target, exit $code"
  exit "$code"
fi
log "boot $elapsed" "$store is good$(fallbacks)"
if [[ -n $report ]]; then
  export MORPHSTREAM_BOOT_REPORT=$report
else
  unset MORPHSTREAM_BOOT_REPORT
fi

if [[ -z $tag ]]; then
  log deploy "DEPLOY_TAG is not set, no code is deployed"
else
  run morphstream deploy --source "${DEPLOY_SOURCE:-$source}" --into "$app" --check "${DEPLOY_CHECK:-}" \
    --timeout "${DEPLOY_TIMEOUT_S:-60}" -- "$tag" || code=$?
  end_if_stopped deploy
  hold
  if [[ -z $release ]]; then
    if [[ -n ${DEPLOY_REQUIRED:-} ]]; then
      log "deploy $elapsed" "failed with exit $code, there is no previous release, and DEPLOY_REQUIRED is set"
      exit $((code ? code : 1))
    fi
    log "deploy $elapsed" "failed with exit $code, there is no previous release, continuing without one"
  else
    export PYTHONPATH=$release/code${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
    if ((code)); then
      log "deploy $elapsed" "failed with exit $code, continuing with the previous release ${release##*/}"
    else
      log "deploy $elapsed" "release ${release##*/}"
    fi
  fi
fi

(($#)) || set -- python -m app
log exec "$*"
trap - INT TERM
exec "$@"
