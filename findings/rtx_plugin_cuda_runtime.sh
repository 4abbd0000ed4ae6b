#!/usr/bin/env bash
# The ONNX Runtime plug-in for TensorRT for RTX holds the CUDA runtime in its wheel and does not find it there.
#
# The wheel brings libcudart.so.12.9.79; on import its package loads TensorRT's libraries, puts its folder into
# LD_LIBRARY_PATH, which the running process no longer reads, and leaves out the CUDA runtime. So on a machine with a
# driver and without a CUDA 12 toolkit, where a wheel with its own runtime should work, the provider can't be registered.
# It can once libcudart is loaded from the wheel with RTLD_GLOBAL; without a GPU the next thing missing is the driver's.
#
# Seen with onnxruntime-ep-nv-tensorrt-rtx-cu12 0.5.0, onnxruntime 1.31.1 and Python 3.11.7 on Linux, x86-64, no driver:
#     as it is: libcudart.so.12: cannot open shared object file: No such file or directory
#     libcudart loaded first: libcuda.so.1: cannot open shared object file: No such file or directory
# Exits 0 while that is so; a driver's library may be there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ldconfig -p 2> /dev/null | grep -q 'libcudart\.so\.12 '; then
    echo "needs a machine where the loader finds no libcudart.so.12" >&2
    exit 2
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnxruntime-ep-nv-tensorrt-rtx-cu12==0.5.0 onnxruntime==1.31.1
cd "$folder"
cat > register.py <<'EOF'
import ctypes
import sys
from pathlib import Path

import onnxruntime
import onnxruntime_ep_nv_tensorrt_rtx as plugin

if sys.argv[1:]:
    (cudart,) = Path(plugin.get_library_path()).parent.glob("libcudart.so.*")
    ctypes.CDLL(str(cudart), mode=ctypes.RTLD_GLOBAL)
try:
    onnxruntime.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
    print("registered")
except Exception as error:
    print(str(error).rpartition("with error: ")[2])
EOF
export ORT_DISABLE_TELEMETRY=1
unset LD_LIBRARY_PATH
as_it_is=$(venv/bin/python register.py)
loaded=$(venv/bin/python register.py first)
echo "as it is: $as_it_is"
echo "libcudart loaded first: $loaded"
[[ $as_it_is == "libcudart.so.12: cannot open shared object file"* ]]
[[ $loaded == registered || $loaded == "libcuda.so.1: cannot open shared object file"* ]]
