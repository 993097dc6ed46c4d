#!/usr/bin/env bash
# run.sh OUT [PREPARED] [MINUTES] [GROUP]: builds the kernels for the GPU and writes the record OUT/gpu.md.
#   PREPARED   folder that prepare.sh wrote, or - for none; its parts base and tensorrt may be missing
#   MINUTES    time for the parts, without building [30]
#   GROUP      kernels: parts without TensorRT; tensorrt: the others [all]
# OUT/gpu.json, if it exists, is continued.
set -euo pipefail
out=$(realpath -m "${1:?usage: run.sh OUT [PREPARED] [MINUTES] [GROUP]}")
prepared=${2:--} minutes=${3:-30} group=${4:-}
[ "$prepared" = - ] || prepared=$(realpath -e "$prepared")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$PWD/sdk${PYTHONPATH:+:$PYTHONPATH}" ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1
options=()
wheels=$(mktemp -d) site=${TMPDIR:-/tmp}/faceaffect-gpu-site
trap 'rm -rf "$wheels"' EXIT
[ ! -d "$prepared/base/wheels" ] || cp "$prepared"/base/wheels/*.whl "$wheels"
[ ! -f "$prepared/tensorrt/wheels.tar.00" ] || cat "$prepared"/tensorrt/wheels.tar.* | tar -C "$wheels" -x
if compgen -G "$wheels/*.whl" > /dev/null; then
  rm -rf "$site"
  "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
  PYTHONPATH="$PYTHONPATH:$site"
fi
[ ! -d "$prepared/base/model" ] || options+=(--model "$prepared/base/model")
[ -z "$group" ] || options+=(--group "$group")
capability() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .; }
archs=${FACEAFFECT_CUDA_ARCHS:-$(capability)}
cmake -S . -B build/gpu -DCMAKE_BUILD_TYPE=Release -DFACEAFFECT_CUDA=ON "-DFACEAFFECT_CUDA_ARCHS=$archs" \
  "-DPython_EXECUTABLE=$(command -v "$python")" "-Dpybind11_DIR=$("$python" -m pybind11 --cmakedir)" > "$out/build.log" 2>&1 &&
  cmake --build build/gpu -j "$(nproc)" >> "$out/build.log" 2>&1 ||
  { tail -n 30 "$out/build.log"; echo "the kernels were not built: see $out/build.log"; exit 1; }
cp build/gpu/_native*.so sdk/faceaffect/kernels/
"$python" -m benchmarks gpu --record "$out/gpu.md" --resume --minutes "$minutes" "${options[@]}"
