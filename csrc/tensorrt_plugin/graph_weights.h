// The graph layer's numbers as the plugin's attributes give them, on the host and, per element type, on a GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "../au_gcn.h"
#include "../half.h"

namespace faceaffect {

// Checked when made: throws std::invalid_argument that says what was wanted and what came.
struct PluginWeights {
  PluginWeights(std::vector<int32_t> widths, std::vector<float> flat);

  std::vector<int32_t> widths;  // D_0 ... D_L
  std::vector<float> flat;      // as au_gcn.h lays them out
  GraphShape shape;
};

// The weights on the current GPU in one element type.
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
