#include "appearance_grid.h"

#include "cuda_launch.h"
#include "launch_kernel.h"

namespace faceaffect {

namespace {

// One block per crop and channel.
template <typename T>
__global__ void appearance_grid_kernel(const T* crops, int size_px, float* out) {
  const T* plane = crops + static_cast<int64_t>(blockIdx.x) * size_px * size_px;
  constexpr int kValues = kAppearanceGrid * kAppearanceGrid;
  for (int at = threadIdx.x; at < kValues; at += blockDim.x)
    out[static_cast<int64_t>(blockIdx.x) * kValues + at] =
        portrait_value(plane, size_px, at / kAppearanceGrid, at % kAppearanceGrid);
}

}  // namespace

void appearance_grid_cuda(const void* crops, int64_t count, int size_px, float* out, Element type,
                          void* stream) {
  if (count == 0) return;
  const dim3 grid(static_cast<unsigned>(3 * count)), block(160);
  if (type == Element::Float16)
    launch_kernel("appearance_grid_cuda", appearance_grid_kernel<Half>, grid, block, 0, stream,
                  static_cast<const Half*>(crops), size_px, out);
  else
    launch_kernel("appearance_grid_cuda", appearance_grid_kernel<float>, grid, block, 0, stream,
                  static_cast<const float*>(crops), size_px, out);
}

}  // namespace faceaffect
