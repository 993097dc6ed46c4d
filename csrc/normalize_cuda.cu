#include "cuda_launch.h"
#include "launch_kernel.h"

namespace faceaffect {

namespace {

template <typename T>
__global__ void normalize_kernel(const uint8_t* pixels, int64_t total, int64_t plane_px,
                                 NormalizeParams params, T* out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += step) {
    const int64_t n = i / plane_px, at = i % plane_px;
    for (int c = 0; c < 3; ++c)
      store_value(out + (3 * n + c) * plane_px + at, normalize_value(pixels[3 * i + c], params, c));
  }
}

}  // namespace

void normalize_cuda(const uint8_t* pixels, int64_t count, int64_t plane_px,
                    const NormalizeParams& params, void* out, Element type, void* stream) {
  const int64_t total = count * plane_px;
  if (total == 0) return;
  const int64_t expected = (total + 255) / 256;
  const dim3 grid(static_cast<unsigned>(expected < kMaxBlocks ? expected : kMaxBlocks)), block(256);
  if (type == Element::Float16)
    launch_kernel("normalize_cuda", normalize_kernel<Half>, grid, block, 0, stream, pixels, total,
                  plane_px, params, static_cast<Half*>(out));
  else
    launch_kernel("normalize_cuda", normalize_kernel<float>, grid, block, 0, stream, pixels, total,
                  plane_px, params, static_cast<float*>(out));
}

}  // namespace faceaffect
