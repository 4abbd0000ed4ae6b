#!/usr/bin/env bash
# Importing ONNX Runtime writes an identifier of the device and a database of what to report into the user's home.
#
# On Linux `import onnxruntime` alone, without a session, makes $HOME/.cache/Microsoft/DeveloperTools/.onnxruntime with
# `deviceid`, which later processes keep, and `onnxruntime.db`, an SQLite database with the CPU's model among what it
# holds to be sent. onnxruntime.disable_telemetry_events() can only be called after that. ORT_DISABLE_TELEMETRY=1 in the
# environment prevents it, as Privacy.md in the wheel says, if it is set before the import.
#
# Seen with onnxruntime 1.31.1 and Python 3.11.7 on Linux, x86-64, in a network namespace without a network:
#     import: deviceid, onnxruntime.db; the same identifier in the next process: True; the CPU's model: True
#     import, then disable_telemetry_events(): deviceid, onnxruntime.db
#     import with ORT_DISABLE_TELEMETRY=1: nothing
# Exits 0 while that is so; needs unshare and the right to use it, so that nothing is sent.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
offline=(unshare --map-root-user --net)
if ! "${offline[@]}" true; then
    echo "needs a machine where unshare may make a network namespace" >&2
    exit 2
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime==1.31.1
cd "$folder"
kept=.cache/Microsoft/DeveloperTools/.onnxruntime

# Run a program with a home of its own and no other environment but what is given, and print the files of the home.
run() {
    local home=$folder/$1 program=$2
    shift 2
    mkdir -p "$home"
    env -i HOME="$home" "$@" "${offline[@]}" "$folder/venv/bin/python" -c "$program"
    (cd "$home" && find . -type f | LC_ALL=C sort | sed "s,^\./$kept/,," | paste -sd, | sed 's/,/, /g')
}

imported=$(run import "import onnxruntime")
identifier=$(cat "import/$kept/deviceid")
run import "import onnxruntime" > /dev/null
is_same=$([[ $(cat "import/$kept/deviceid") == "$identifier" ]] && echo True || echo False)
has_cpu=$(grep -q cpuModel "import/$kept/onnxruntime.db" && echo True || echo False)
by_call=$(run call "import onnxruntime; onnxruntime.disable_telemetry_events()")
by_variable=$(run variable "import onnxruntime" ORT_DISABLE_TELEMETRY=1)
echo "import: $imported; the same identifier in the next process: $is_same; the CPU's model: $has_cpu"
echo "import, then disable_telemetry_events(): $by_call"
echo "import with ORT_DISABLE_TELEMETRY=1: ${by_variable:-nothing}"
[[ $imported == "deviceid, onnxruntime.db" && $is_same == True && $has_cpu == True ]]
[[ $by_call == "deviceid, onnxruntime.db" ]]
[[ $by_variable == "" ]]
