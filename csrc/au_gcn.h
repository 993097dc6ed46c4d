// logit[n, k] = H_L[k] . readout_weight[k] + readout_bias[k],  H_0 = nodes[n],
// H_{l+1}[k, j] = relu(sum_i (A H_l)[k, i] W_l[i, j] + b_l[j])
//   nodes float32 [N, 12, D_0];  A float32 [12, 12];  W_l float32 [D_l, D_{l+1}];  logit float32
//   [N, 12]
//
// The weights are stored in one flat buffer (see GraphShape), each row padded with zeros to a
// multiple of kPad, so that wide kernels need no remainder loop: A [12, 16], then per layer W_l
// [D_l, pad(D_{l+1})] and b_l [pad(D_{l+1})], then readout_weight [12, pad(D_L)] and readout_bias
// [16]. On a GPU, nodes and weights may be Half (W); sums are float32.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace faceaffect {

constexpr int kNodes = 12;
constexpr int kPad = 16;
constexpr int kMaxLayers = 8;
constexpr int kMaxWidth = 512;

struct GraphShape {
  int layers;
  int widths[kMaxLayers + 1];  // D_0 ... D_L
};

HOST_DEVICE int padded(int width) { return (width + kPad - 1) / kPad * kPad; }

HOST_DEVICE int64_t layer_offset(const GraphShape& shape, int layer) {
  int64_t offset = kNodes * kPad;
  for (int i = 0; i < layer; ++i)
    offset += static_cast<int64_t>(shape.widths[i] + 1) * padded(shape.widths[i + 1]);
  return offset;
}

HOST_DEVICE int64_t readout_offset(const GraphShape& shape) {
  return layer_offset(shape, shape.layers);
}

HOST_DEVICE int64_t graph_size(const GraphShape& shape) {
  return readout_offset(shape) + kNodes * padded(shape.widths[shape.layers]) + kPad;
}

// (A H)[k, i]; rows of `nodes` are `stride` floats apart
template <typename W>
HOST_DEVICE float mixed_value(const W* adjacency, const float* nodes, int stride, int k, int i) {
  float sum = 0.0f;
  for (int m = 0; m < kNodes; ++m) sum += as_float(adjacency[k * kPad + m]) * nodes[m * stride + i];
  return sum;
}

// H_{l+1}[k, j] from row k of (A H_l)
template <typename W>
HOST_DEVICE float layer_value(const float* mixed_row, const W* weight, int width_in, int width_out,
                              int j) {
  const int stride = padded(width_out);
  float sum = 0.0f;
  for (int i = 0; i < width_in; ++i)
    sum += mixed_row[i] * as_float(weight[static_cast<int64_t>(i) * stride + j]);
  sum += as_float(weight[static_cast<int64_t>(width_in) * stride + j]);  // b_l follows W_l
  return sum > 0.0f ? sum : 0.0f;
}

template <typename W>
HOST_DEVICE float logit_value(const float* nodes_row, const W* readout, int width, int k) {
  const int stride = padded(width);
  float sum = 0.0f;
  for (int i = 0; i < width; ++i) sum += nodes_row[i] * as_float(readout[k * stride + i]);
  return sum + as_float(readout[kNodes * stride + k]);
}

}  // namespace faceaffect
