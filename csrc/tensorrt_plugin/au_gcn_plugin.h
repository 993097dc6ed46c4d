// FaceaffectAuGraph: the AU graph layer as a TensorRT plugin. Input nodes [N, 12, D], float32 or
// float16; output logits [N, 12], float32; attributes `widths` (int32: D_0 ... D_L) and `weights`
// (float32, as au_gcn.h lays them out).
#pragma once

#include <NvInferRuntime.h>

#include <memory>

#include "graph_weights.h"

namespace faceaffect {

constexpr const char* kPluginName = "FaceaffectAuGraph";
constexpr const char* kPluginVersion = "1";

class AuGraphPlugin final : public nvinfer1::IPluginV3,
                            public nvinfer1::IPluginV3OneCore,
                            public nvinfer1::IPluginV3OneBuild,
                            public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit AuGraphPlugin(std::shared_ptr<const PluginWeights> weights);

  nvinfer1::IPluginCapability* getCapabilityInterface(
      nvinfer1::PluginCapabilityType type) noexcept override;
  nvinfer1::IPluginV3* clone() noexcept override;

  const char* getPluginName() const noexcept override { return kPluginName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return ""; }

  int32_t getNbOutputs() const noexcept override { return 1; }
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t in_count,
                          const nvinfer1::DynamicPluginTensorDesc* out,
                          int32_t out_count) noexcept override;
  int32_t getOutputDataTypes(nvinfer1::DataType* out, int32_t out_count,
                             const nvinfer1::DataType* in,
                             int32_t in_count) const noexcept override;
  int32_t getOutputShapes(const nvinfer1::DimsExprs* in, int32_t in_count,
                          const nvinfer1::DimsExprs* shapes, int32_t shape_count,
                          nvinfer1::DimsExprs* out, int32_t out_count,
                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 int32_t in_count, int32_t out_count) noexcept override;

  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t in_count,
                        const nvinfer1::PluginTensorDesc* out, int32_t out_count) noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc* out,
                  const void* const* inputs, void* const* outputs, void* workspace,
                  cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override {
    return &collection_;
  }

 private:
  std::shared_ptr<const PluginWeights> weights_;  // shared with clones, immutable
  std::unique_ptr<DeviceWeights> on_gpu_;  // owned by each clone: clones may run on different GPUs
  nvinfer1::PluginField fields_[2];
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace faceaffect
