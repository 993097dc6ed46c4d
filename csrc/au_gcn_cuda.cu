#include "cuda_launch.h"
#include "launch_kernel.h"

namespace faceaffect {

namespace {

// One block per graph and one launch for all layers; node features and their mix stay in shared
// memory: float32 2 x [12, max width]. A thread computes one column of kTogether nodes, so that
// each weight is loaded once for them and their sums are independent chains of operations.
constexpr int kThreads = 256, kTogether = 3, kGroups = kNodes / kTogether, kWarp = 32;
static_assert(kNodes % kTogether == 0, "nodes must form whole groups");

// mixed = A h for one group of nodes and column
template <typename T>
__device__ void mix_nodes(const T* adjacency, const float* h, int width, int group, int column,
                          float* mixed) {
  float sum[kTogether] = {};
#pragma unroll
  for (int m = 0; m < kNodes; ++m) {
    const float value = h[m * width + column];
#pragma unroll
    for (int n = 0; n < kTogether; ++n)
      sum[n] += as_float(adjacency[(group * kTogether + n) * kPad + m]) * value;
  }
#pragma unroll
  for (int n = 0; n < kTogether; ++n) mixed[(group * kTogether + n) * width + column] = sum[n];
}

// h = relu(mixed W + b) for one group of nodes and column
template <typename T>
__device__ void apply_weight(const T* weight, const float* mixed, int width_in, int width_out,
                             int group, int column, float* h) {
  const int stride = padded(width_out);
  const float* row = mixed + group * kTogether * width_in;
  const T* at = weight + column;
  float sum[kTogether] = {};
#pragma unroll 4
  for (int k = 0; k < width_in; ++k, at += stride) {
    const float value = as_float(*at);
#pragma unroll
    for (int n = 0; n < kTogether; ++n) sum[n] += row[n * width_in + k] * value;
  }
  const float bias = as_float(*at);  // b follows W
#pragma unroll
  for (int n = 0; n < kTogether; ++n)
    h[(group * kTogether + n) * width_out + column] = fmaxf(sum[n] + bias, 0.0f);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    au_gcn_kernel(const T* nodes, GraphShape shape, const T* weights, int widest, float* out) {
  float* h = shared_floats();
  float* mixed = h + kNodes * widest;
  nodes += static_cast<int64_t>(blockIdx.x) * kNodes * shape.widths[0];
  for (int i = threadIdx.x; i < kNodes * shape.widths[0]; i += blockDim.x)
    h[i] = as_float(nodes[i]);
  const T* weight = weights + kNodes * kPad;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int width_in = shape.widths[layer], width_out = shape.widths[layer + 1];
    __syncthreads();
    for (int i = threadIdx.x; i < kGroups * width_in; i += blockDim.x)
      mix_nodes(weights, h, width_in, i / width_in, i % width_in, mixed);
    __syncthreads();
    for (int i = threadIdx.x; i < kGroups * width_out; i += blockDim.x)
      apply_weight(weight, mixed, width_in, width_out, i / width_out, i % width_out, h);
    weight += static_cast<int64_t>(width_in + 1) * padded(width_out);
  }
  __syncthreads();
  // Readout: a warp sums a logit in parts, a thread adds them in order.
  const int last = shape.widths[shape.layers], lane = threadIdx.x % kWarp;
  for (int k = threadIdx.x / kWarp; k < kNodes; k += blockDim.x / kWarp) {
    float sum = 0.0f;
    for (int i = lane; i < last; i += kWarp)
      sum += h[k * last + i] * as_float(weight[k * padded(last) + i]);
    mixed[k * kWarp + lane] = sum;
  }
  __syncthreads();
  for (int k = threadIdx.x; k < kNodes; k += blockDim.x) {
    float sum = 0.0f;
    for (int i = 0; i < kWarp; ++i) sum += mixed[k * kWarp + i];
    out[static_cast<int64_t>(blockIdx.x) * kNodes + k] =
        sum + as_float(weight[kNodes * padded(last) + k]);
  }
}

}  // namespace

void au_gcn_cuda(const void* nodes, int64_t count, const GraphShape& shape, const void* weights,
                 float* out, Element type, void* stream) {
  if (count == 0) return;
  int widest = kWarp;  // of the parts of a logit
  for (int i = 0; i <= shape.layers; ++i)
    widest = shape.widths[i] > widest ? shape.widths[i] : widest;
  // kMaxWidth keeps this within the 48 KiB that every device grants without opt-in
  const size_t shared = 2 * kNodes * static_cast<size_t>(widest) * sizeof(float);
  static_assert(2 * kNodes * kMaxWidth * sizeof(float) <= 48 * 1024,
                "node features must fit shared memory");
  const dim3 grid(static_cast<unsigned>(count)), block(kThreads);
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
