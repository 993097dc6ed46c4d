#include "check_cuda.h"
#include "cuda_launch.h"

namespace faceaffect {

namespace {

__global__ void normalise_kernel(const uint8_t* pixels, int64_t total, int64_t plane_px, NormaliseParams params,
                                 float* out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t n = i / plane_px, at = i % plane_px;
    for (int c = 0; c < 3; ++c)
      out[(3 * n + c) * plane_px + at] = normalise_value(pixels[3 * i + c], params, c);
  }
}

}  // namespace

void normalise_cuda(const uint8_t* pixels, int64_t count, int64_t plane_px, const NormaliseParams& params, float* out,
                    void* stream) {
  const int64_t total = count * plane_px;
  if (total == 0) return;
  const int64_t wanted = (total + 255) / 256;
  const unsigned blocks = static_cast<unsigned>(wanted < 65535 ? wanted : 65535);
  normalise_kernel<<<blocks, 256, 0, static_cast<cudaStream_t>(stream)>>>(pixels, total, plane_px, params, out);
  check_cuda(cudaGetLastError(), "normalise_cuda");
}

}  // namespace faceaffect
