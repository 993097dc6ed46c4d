#include "cuda_launch.h"
#include "launch_kernel.h"

namespace faceaffect {

namespace {

// One block per graph and one launch for all layers; node features and their mix stay in shared
// memory: float32 2 x [12, max width].
template <typename T>
__global__ void au_gcn_kernel(const T* nodes, GraphShape shape, const T* weights, int widest,
                              float* out) {
  float* h = shared_floats();
  float* mixed = h + kNodes * widest;
  nodes += static_cast<int64_t>(blockIdx.x) * kNodes * shape.widths[0];
  for (int i = threadIdx.x; i < kNodes * shape.widths[0]; i += blockDim.x)
    h[i] = as_float(nodes[i]);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int width_in = shape.widths[layer], width_out = shape.widths[layer + 1];
    const T* weight = weights + layer_offset(shape, layer);
    __syncthreads();
    for (int i = threadIdx.x; i < kNodes * width_in; i += blockDim.x)
      mixed[i] = mixed_value(weights, h, width_in, i / width_in, i % width_in);
    __syncthreads();
    for (int i = threadIdx.x; i < kNodes * width_out; i += blockDim.x)
      h[i] =
          layer_value(mixed + i / width_out * width_in, weight, width_in, width_out, i % width_out);
  }
  __syncthreads();
  const int last = shape.widths[shape.layers];
  for (int k = threadIdx.x; k < kNodes; k += blockDim.x)
    out[static_cast<int64_t>(blockIdx.x) * kNodes + k] =
        logit_value(h + k * last, weights + readout_offset(shape), last, k);
}

}  // namespace

void au_gcn_cuda(const void* nodes, int64_t count, const GraphShape& shape, const void* weights,
                 float* out, Element type, void* stream) {
  if (count == 0) return;
  int widest = 0;
  for (int i = 0; i <= shape.layers; ++i)
    widest = shape.widths[i] > widest ? shape.widths[i] : widest;
  // kMaxWidth keeps this within the 48 KiB that every device grants without opt-in
  const size_t shared = 2 * kNodes * static_cast<size_t>(widest) * sizeof(float);
  static_assert(2 * kNodes * kMaxWidth * sizeof(float) <= 48 * 1024,
                "node features must fit shared memory");
  const dim3 grid(static_cast<unsigned>(count)), block(256);
  if (type == Element::Float16)
    launch_kernel("au_gcn_cuda", au_gcn_kernel<Half>, grid, block, shared, stream,
                  static_cast<const Half*>(nodes), shape, static_cast<const Half*>(weights), widest,
                  out);
  else
    launch_kernel("au_gcn_cuda", au_gcn_kernel<float>, grid, block, shared, stream,
                  static_cast<const float*>(nodes), shape, static_cast<const float*>(weights),
                  widest, out);
}

}  // namespace faceaffect
