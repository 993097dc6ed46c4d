#include "graph_weights.h"

#include <cuda_fp16.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "../check_cuda.h"

namespace faceaffect {

namespace {

GraphShape checked_shape(const std::vector<int32_t>& widths) {
  if (widths.empty() || widths.size() > kMaxLayers + 1)
    throw std::invalid_argument("widths must hold 1 to " + std::to_string(kMaxLayers + 1) +
                                " numbers, got " + std::to_string(widths.size()));
  GraphShape shape = {static_cast<int>(widths.size()) - 1, {}};
  for (size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] < 1 || widths[i] > kMaxWidth)
      throw std::invalid_argument("widths must be from 1 to " + std::to_string(kMaxWidth) +
                                  ", got " + std::to_string(widths[i]));
    shape.widths[i] = widths[i];
  }
  return shape;
}

}  // namespace

PluginWeights::PluginWeights(std::vector<int32_t> widths_, std::vector<float> flat_)
    : widths(std::move(widths_)), flat(std::move(flat_)), shape(checked_shape(widths)) {
  const auto expected = static_cast<size_t>(graph_size(shape));
  if (flat.size() != expected)
    throw std::invalid_argument("weights must hold " + std::to_string(expected) +
                                " numbers for these widths, got " + std::to_string(flat.size()));
  for (const float value : flat)
    if (!std::isfinite(value)) throw std::invalid_argument("weights must be finite");
}

DeviceWeights::DeviceWeights(const PluginWeights& weights, Element type) : type_(type) {
  std::vector<__half> halves;
  const void* from = weights.flat.data();
  size_t nbytes = weights.flat.size() * sizeof(float);
  if (type == Element::Float16) {
    for (const float value : weights.flat) halves.push_back(__float2half(value));
    from = halves.data();
    nbytes = halves.size() * sizeof(__half);
  }
  check_cuda(cudaMalloc(&address_, nbytes), "memory of the graph layer's weights");
  cudaError_t status = cudaMemcpy(address_, from, nbytes, cudaMemcpyHostToDevice);
  // A small copy of pageable memory may return before it is done, and other streams do not wait.
  if (status == cudaSuccess) status = cudaStreamSynchronize(nullptr);
  if (status != cudaSuccess) cudaFree(address_);
  check_cuda(status, "upload of the graph layer's weights");
}

DeviceWeights::~DeviceWeights() { cudaFree(address_); }

}  // namespace faceaffect
