#include "au_gcn_creator.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "au_gcn_plugin.h"

namespace faceaffect {

namespace {

template <typename T>
std::vector<T> field_values(const nvinfer1::PluginFieldCollection& fields, const char* name,
                            nvinfer1::PluginFieldType type) {
  for (int32_t i = 0; i < fields.nbFields; ++i) {
    const nvinfer1::PluginField& field = fields.fields[i];
    if (std::strcmp(field.name, name) != 0) continue;
    if (field.type != type || field.length < 0 || (field.data == nullptr && field.length > 0))
      throw std::invalid_argument(std::string("attribute ") + name + " has the wrong type");
    const T* values = static_cast<const T*>(field.data);
    return std::vector<T>(values, values + field.length);
  }
  throw std::invalid_argument(std::string("attribute ") + name + " is missing");
}

}  // namespace

AuGraphCreator::AuGraphCreator() {
  fields_[0] = {"widths", nullptr, nvinfer1::PluginFieldType::kINT32, 0};
  fields_[1] = {"weights", nullptr, nvinfer1::PluginFieldType::kFLOAT32, 0};
  collection_.nbFields = 2;
  collection_.fields = fields_;
}

const char* AuGraphCreator::getPluginName() const noexcept { return kPluginName; }

const char* AuGraphCreator::getPluginVersion() const noexcept { return kPluginVersion; }

nvinfer1::IPluginV3* AuGraphCreator::createPlugin(const char* name,
                                                  const nvinfer1::PluginFieldCollection* fields,
                                                  nvinfer1::TensorRTPhase) noexcept {
  try {
    if (fields == nullptr) throw std::invalid_argument("no attributes were given");
    auto widths = field_values<int32_t>(*fields, "widths", nvinfer1::PluginFieldType::kINT32);
    auto flat = field_values<float>(*fields, "weights", nvinfer1::PluginFieldType::kFLOAT32);
    return new AuGraphPlugin(
        std::make_shared<const PluginWeights>(std::move(widths), std::move(flat)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s %s: %s\n", kPluginName, name == nullptr ? "" : name, error.what());
    return nullptr;
  }
}

}  // namespace faceaffect
