// Weights of the graph layer from the plugin's attributes, on the host and, per element type, on a
// GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "../au_gcn.h"
#include "../half.h"

namespace faceaffect {

// Validated on construction: throws std::invalid_argument with what was expected and what came.
struct PluginWeights {
  PluginWeights(std::vector<int32_t> widths, std::vector<float> flat);

  std::vector<int32_t> widths;  // D_0 ... D_L
  std::vector<float> flat;      // as au_gcn.h lays them out
  GraphShape shape;
};

// The weights on the current GPU with one element type.
class DeviceWeights {
 public:
  DeviceWeights(const PluginWeights& weights, Element type);  // throws CudaError
  ~DeviceWeights();
  DeviceWeights(const DeviceWeights&) = delete;
  DeviceWeights& operator=(const DeviceWeights&) = delete;

  const void* address() const { return address_; }
  Element type() const { return type_; }

 private:
  void* address_ = nullptr;
  Element type_;
};

}  // namespace faceaffect
