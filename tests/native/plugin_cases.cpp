// The TensorRT plugin without TensorRT and without a GPU: host memory stands in for the GPU's, the kernel's own code runs
// thread by thread (plugin_kernel.cpp). test_tensorrt_plugin.py builds and calls it.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "../../csrc/tensorrt_plugin/au_gcn_creator.h"
#include "../../csrc/tensorrt_plugin/au_gcn_plugin.h"

extern "C" {

int living_allocations = 0;

cudaError_t cudaMalloc(void** address, size_t nbytes) {
  *address = std::malloc(nbytes);
  ++living_allocations;
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  living_allocations -= address != nullptr;
  std::free(address);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t nbytes, cudaMemcpyKind) {
  std::memcpy(to, from, nbytes);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = 0, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 0, cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "an error"; }
const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }

// 0, or what refused: 1 creation, 2 serialization, 3 formats and types, 4 configuration, 5 enqueue before a shape is set,
// 6 shape, 7 enqueue. The plugin goes through two clones and its own serialized fields first, as in an engine's life.
int run_plugin(const int32_t* widths, int32_t width_count, const float* weights, int32_t weight_count, const void* nodes,
               int64_t count, int64_t width, int is_half, float* out) {
  using namespace nvinfer1;
  faceaffect::AuGraphCreator creator;
  const PluginField given[2] = {{"widths", widths, PluginFieldType::kINT32, width_count},
                                {"weights", weights, PluginFieldType::kFLOAT32, weight_count}};
  PluginFieldCollection fields;
  fields.nbFields = 2;
  fields.fields = given;
  const std::unique_ptr<IPluginV3> made(creator.createPlugin("case", &fields, TensorRTPhase::kBUILD));
  if (!made) return 1;
  auto* runtime = static_cast<IPluginV3OneRuntime*>(made->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  const std::unique_ptr<IPluginV3> loaded(
      creator.createPlugin("case", runtime->getFieldsToSerialize(), TensorRTPhase::kRUNTIME));
  if (!loaded) return 2;
  const std::unique_ptr<IPluginV3> cloned(loaded->clone());
  runtime = static_cast<IPluginV3OneRuntime*>(cloned->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  const std::unique_ptr<IPluginV3> attached(runtime->attachToContext(nullptr));

  auto* build = static_cast<IPluginV3OneBuild*>(attached->getCapabilityInterface(PluginCapabilityType::kBUILD));
  DynamicPluginTensorDesc tensors[2] = {};
  tensors[0].desc.type = is_half ? DataType::kHALF : DataType::kFLOAT;
  tensors[0].desc.dims = {3, {-1, faceaffect::kNodes, width}};
  tensors[1].desc.dims = {2, {-1, faceaffect::kNodes}};
  DataType out_type = DataType::kINT8;
  if (build->getOutputDataTypes(&out_type, 1, &tensors[0].desc.type, 1) != 0 || out_type != DataType::kFLOAT) return 3;
  tensors[1].desc.type = out_type;
  if (!build->supportsFormatCombination(0, tensors, 1, 1) || !build->supportsFormatCombination(1, tensors, 1, 1))
    return 3;
  tensors[1].desc.type = DataType::kHALF;
  if (build->supportsFormatCombination(1, tensors, 1, 1)) return 3;
  if (build->configurePlugin(tensors, 1, tensors + 1, 1) != 0) return 4;

  runtime = static_cast<IPluginV3OneRuntime*>(attached->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  PluginTensorDesc in = tensors[0].desc, result = tensors[1].desc;
  in.dims.d[0] = count;
  void* outputs[1] = {out};
  if (runtime->enqueue(&in, &result, &nodes, outputs, nullptr, nullptr) == 0) return 5;
  if (runtime->onShapeChange(&in, 1, &result, 1) != 0) return 6;
  return runtime->enqueue(&in, &result, &nodes, outputs, nullptr, nullptr) == 0 ? 0 : 7;
}

}  // extern "C"
