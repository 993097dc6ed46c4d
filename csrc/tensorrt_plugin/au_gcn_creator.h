// Creates FaceaffectAuGraph from the attributes of an ONNX node or the fields of a serialized
// engine.
#pragma once

#include <NvInferRuntime.h>

namespace faceaffect {

class AuGraphCreator final : public nvinfer1::IPluginCreatorV3One {
 public:
  AuGraphCreator();

  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const char* getPluginNamespace() const noexcept override { return ""; }

 private:
  nvinfer1::PluginField fields_[2];
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace faceaffect
