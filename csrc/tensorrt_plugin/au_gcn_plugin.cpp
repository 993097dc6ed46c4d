#include "au_gcn_plugin.h"

#include <cstdio>
#include <exception>
#include <new>
#include <utility>

#include "../check_cuda.h"
#include "../cuda_launch.h"

namespace faceaffect {

namespace {

constexpr int32_t kOk = 0, kFailed = 1;

// TensorRT does not forward messages of plugins: they go to standard error.
int32_t failed(const char* what) {
  std::fprintf(stderr, "%s: %s\n", kPluginName, what);
  return kFailed;
}

// -1: size not known yet.
bool fits(const nvinfer1::Dims& dims, const GraphShape& shape) {
  return dims.nbDims == 3 && (dims.d[1] == kNodes || dims.d[1] == -1) &&
         (dims.d[2] == shape.widths[0] || dims.d[2] == -1);
}

int32_t refused(const nvinfer1::Dims& dims, const GraphShape& shape) {
  char text[160];
  std::snprintf(text, sizeof(text),
                "the input must be [N, %d, %d], got %d dimensions, the last two %lld and %lld",
                kNodes, shape.widths[0], dims.nbDims,
                dims.nbDims > 1 ? static_cast<long long>(dims.d[dims.nbDims - 2]) : 0LL,
                dims.nbDims > 0 ? static_cast<long long>(dims.d[dims.nbDims - 1]) : 0LL);
  return failed(text);
}

Element element(nvinfer1::DataType type) {
  return type == nvinfer1::DataType::kHALF ? Element::Float16 : Element::Float32;
}

}  // namespace

AuGraphPlugin::AuGraphPlugin(std::shared_ptr<const PluginWeights> weights)
    : weights_(std::move(weights)) {
  fields_[0] = {"widths", weights_->widths.data(), nvinfer1::PluginFieldType::kINT32,
                static_cast<int32_t>(weights_->widths.size())};
  fields_[1] = {"weights", weights_->flat.data(), nvinfer1::PluginFieldType::kFLOAT32,
                static_cast<int32_t>(weights_->flat.size())};
  collection_.nbFields = 2;
  collection_.fields = fields_;
}

nvinfer1::IPluginCapability* AuGraphPlugin::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
  switch (type) {
    case nvinfer1::PluginCapabilityType::kCORE:
      return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD:
      return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME:
      return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  }
  return nullptr;
}

nvinfer1::IPluginV3* AuGraphPlugin::clone() noexcept {
  return new (std::nothrow) AuGraphPlugin(weights_);
}

nvinfer1::IPluginV3* AuGraphPlugin::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
  return clone();
}

int32_t AuGraphPlugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in,
                                       int32_t in_count, const nvinfer1::DynamicPluginTensorDesc*,
                                       int32_t out_count) noexcept {
  if (in_count != 1 || out_count != 1) return failed("one input and one output are expected");
  return fits(in[0].desc.dims, weights_->shape) ? kOk : refused(in[0].desc.dims, weights_->shape);
}

int32_t AuGraphPlugin::getOutputDataTypes(nvinfer1::DataType* out, int32_t out_count,
                                          const nvinfer1::DataType* in,
                                          int32_t in_count) const noexcept {
  if (in_count != 1 || out_count != 1) return failed("one input and one output are expected");
  if (in[0] != nvinfer1::DataType::kFLOAT && in[0] != nvinfer1::DataType::kHALF)
    return failed("the input must be float32 or float16");
  out[0] = nvinfer1::DataType::kFLOAT;
  return kOk;
}

int32_t AuGraphPlugin::getOutputShapes(const nvinfer1::DimsExprs* in, int32_t in_count,
                                       const nvinfer1::DimsExprs*, int32_t,
                                       nvinfer1::DimsExprs* out, int32_t out_count,
                                       nvinfer1::IExprBuilder& builder) noexcept {
  if (in_count != 1 || out_count != 1) return failed("one input and one output are expected");
  if (in[0].nbDims != 3) return failed("the input must have three dimensions, [N, 12, D]");
  out[0].nbDims = 2;
  out[0].d[0] = in[0].d[0];
  out[0].d[1] = builder.constant(kNodes);
  return kOk;
}

bool AuGraphPlugin::supportsFormatCombination(int32_t position,
                                              const nvinfer1::DynamicPluginTensorDesc* tensors,
                                              int32_t, int32_t) noexcept {
  const nvinfer1::PluginTensorDesc& tensor = tensors[position].desc;
  if (tensor.format != nvinfer1::TensorFormat::kLINEAR) return false;
  return tensor.type == nvinfer1::DataType::kFLOAT ||
         (position == 0 && tensor.type == nvinfer1::DataType::kHALF);
}

// Allocated here, not in enqueue, which may be captured into a CUDA graph, where allocation is not
// allowed.
int32_t AuGraphPlugin::onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t in_count,
                                     const nvinfer1::PluginTensorDesc*, int32_t) noexcept {
  if (in_count != 1 || !fits(in[0].dims, weights_->shape))
    return refused(in[0].dims, weights_->shape);
  const Element type = element(in[0].type);
  if (on_gpu_ && on_gpu_->type() == type) return kOk;
  try {
    on_gpu_ = std::make_unique<DeviceWeights>(*weights_, type);
  } catch (const std::exception& error) {
    return failed(error.what());
  }
  return kOk;
}

int32_t AuGraphPlugin::enqueue(const nvinfer1::PluginTensorDesc* in,
                               const nvinfer1::PluginTensorDesc*, const void* const* inputs,
                               void* const* outputs, void*, cudaStream_t stream) noexcept {
  if (!on_gpu_ || on_gpu_->type() != element(in[0].type))
    return failed("run before a shape was set");
  try {
    au_gcn_cuda(inputs[0], in[0].dims.d[0], weights_->shape, on_gpu_->address(),
                static_cast<float*>(outputs[0]), on_gpu_->type(), stream);
  } catch (const std::exception& error) {
    return failed(error.what());
  }
  return kOk;
}

}  // namespace faceaffect
