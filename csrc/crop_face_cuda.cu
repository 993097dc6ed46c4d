#include "check_cuda.h"
#include "cuda_launch.h"

namespace faceaffect {

namespace {

__global__ void crop_face_kernel(FrameView frame, const float* crop_to_frame, CropParams params, float* out) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  const int b = blockIdx.z / 3, c = blockIdx.z % 3;
  if (x >= params.size_px || y >= params.size_px) return;
  const LevelMap map = map_at_level(crop_to_frame + 6 * b);
  const int64_t size = params.size_px;
  out[((3 * static_cast<int64_t>(b) + c) * size + y) * size + x] = crop_face_value(frame, map, params, c, y, x);
}

}  // namespace

void crop_face_cuda(const FrameView& frame, const float* crop_to_frame, int count, const CropParams& params, float* out,
                    void* stream) {
  constexpr int kMost = 65535 / 3;  // faces in one grid
  const int64_t face = 3 * static_cast<int64_t>(params.size_px) * params.size_px;
  const dim3 block(32, 8);
  for (int from = 0; from < count; from += kMost) {
    const int faces = count - from < kMost ? count - from : kMost;
    const dim3 grid((params.size_px + block.x - 1) / block.x, (params.size_px + block.y - 1) / block.y, 3 * faces);
    crop_face_kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(frame, crop_to_frame + 6 * from, params,
                                                                            out + from * face);
    check_cuda(cudaGetLastError(), "crop_face_cuda");
  }
}

}  // namespace faceaffect
