#!/usr/bin/env bash
# The ONNX Runtime plug-in for TensorRT for RTX changes its own installation when it is imported, and needs that.
#
# The wheel has libtensorrt_rtx.so.1.7.1 and no link under its soname. On import the package makes libtensorrt_rtx.so.1 and
# libtensorrt_rtx.so beside it, and the same for the parser. A user who may not write there, as in an image whose packages
# are root's, gets a warning at each import, which says that sessions may fail; pip knows nothing of the links. Importing
# the package once while the image is built, as who installed it, is enough.
#
# Seen with onnxruntime-ep-nv-tensorrt-rtx-cu12 0.5.0 and Python 3.11 on Linux, x86-64:
#     installed: 0 links
#     imported by another user: 0 links, a warning that names 4
#     imported by its owner: 4 links, a warning that names 0
#     imported by another user, then: a warning that names 0
# Exits 0 while that is so; needs root, setpriv, and a Python that every user may start.
set -euo pipefail
python=$(readlink -f /usr/bin/python3)
another=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/)
if [[ $(id -u) != 0 ]] || ! "${another[@]}" "$python" -c ''; then
    echo "needs root, setpriv, and /usr/bin/python3" >&2
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" \
    onnxruntime-ep-nv-tensorrt-rtx-cu12==0.5.0
chmod -R a+rX "$folder"
cd "$folder"
export PYTHONPATH=$folder PYTHONDONTWRITEBYTECODE=1
unset LD_LIBRARY_PATH

links() {
    find onnxruntime_ep_nv_tensorrt_rtx -type l | wc -l
}

# Import the package, and print how many links a warning names.
warned() { # COMMAND...
    "$@" "$python" -c 'import onnxruntime_ep_nv_tensorrt_rtx' 2>&1 |
        sed -n 's/^Could not fix library symlinks in .* for: \(lib[^:]*\)\. TRT-RTX.*/\1/p' | tr , '\n' | grep -c lib || true
}

installed=$(links)
by_another=$(warned "${another[@]}")
after_another=$(links)
by_owner=$(warned env)
after_owner=$(links)
again=$(warned "${another[@]}")
echo "installed: $installed links"
echo "imported by another user: $after_another links, a warning that names $by_another"
echo "imported by its owner: $after_owner links, a warning that names $by_owner"
echo "imported by another user, then: a warning that names $again"
[[ $installed == 0 && $after_another == 0 && $by_another == 4 ]]
[[ $after_owner == 4 && $by_owner == 0 && $again == 0 ]]
