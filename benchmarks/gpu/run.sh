#!/usr/bin/env bash
# run.sh OUT [PREPARED] [MINUTES]: builds the kernels for the GPU at hand and writes the GPU record OUT/gpu.md within MINUTES
# (30 unless told). PREPARED is a folder that prepare.sh wrote, or - for none. Given again, it goes on where it was cut off.
set -euo pipefail
out=$(realpath -m "${1:?usage: run.sh OUT [PREPARED] [MINUTES]}")
prepared=${2:--} minutes=${3:-30}
[ "$prepared" = - ] || prepared=$(realpath -e "$prepared")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$PWD/sdk${PYTHONPATH:+:$PYTHONPATH}" ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1
model=()
if [ -d "$prepared/wheels" ]; then
  site=${TMPDIR:-/tmp}/faceaffect-gpu-site
  rm -rf "$site"
  "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$prepared"/wheels/*.whl
  PYTHONPATH="$PYTHONPATH:$site"
fi
[ ! -d "$prepared/model" ] || model=(--model "$prepared/model")
capability() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .; }
archs=${FACEAFFECT_CUDA_ARCHS:-$(capability)}
cmake -S . -B build/gpu -DCMAKE_BUILD_TYPE=Release -DFACEAFFECT_CUDA=ON "-DFACEAFFECT_CUDA_ARCHS=$archs" \
  "-DPython_EXECUTABLE=$(command -v "$python")" "-Dpybind11_DIR=$("$python" -m pybind11 --cmakedir)" > "$out/build.log" 2>&1 &&
  cmake --build build/gpu -j "$(nproc)" >> "$out/build.log" 2>&1 ||
  { tail -n 30 "$out/build.log"; echo "the kernels were not built: see $out/build.log"; exit 1; }
cp build/gpu/_native*.so sdk/faceaffect/kernels/
"$python" -m benchmarks gpu --record "$out/gpu.md" --resume --minutes "$minutes" "${model[@]}"
