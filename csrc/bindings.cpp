// The Python module `_native`.
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "arguments.h"
#include "cuda_kernels.h"
#include "face_ops_bindings.h"
#include "gil_release.h"
#include "instruction_sets.h"
#include "pack_upload.h"

namespace faceaffect {

namespace {

const InstructionSet* g_isa = nullptr;

struct PackedGraph {
  GraphShape shape;
  std::vector<float> weights;
};

py::list names_of_sets(bool usable_only) {
  int count = 0;
  const InstructionSet* sets = instruction_sets(&count);
  py::list names;
  for (int i = 0; i < count; ++i)
    if (sets[i].usable || !usable_only) names.append(sets[i].name);
  return names;
}

// Selects the instruction set; an empty name selects the best one.
void use_isa(const std::string& name) {
  int count = 0;
  const InstructionSet* sets = instruction_sets(&count);
  for (int i = count - 1; i >= 0; --i)
    if (sets[i].usable && (name.empty() || name == sets[i].name)) {
      g_isa = &sets[i];
      return;
    }
  throw py::value_error("FACEAFFECT_ISA must be one of " +
                        py::repr(names_of_sets(true)).cast<std::string>() +
                        " on this machine, got '" + name + "'");
}

py::object crop_face(py::handle pixels, py::handle pixel_format, py::handle crop_to_frame,
                     py::handle size_px, py::handle mean, py::handle std, py::handle out,
                     py::handle color) {
  py::object owner;
  FrameView frame = view_frame(pixels, pixel_format, &owner);
  read_color(color, &frame);
  const FloatArray transforms = check_transforms(crop_to_frame);
  const CropParams params = {check_size_px(size_px), check_normalize(mean, std)};
  const int count = static_cast<int>(transforms.shape(0));
  FloatArray result = check_out(out, {count, 3, params.size_px, params.size_px});
  const float* transform_data = transforms.data();
  float* result_data = result.mutable_data();
  {
    // Cropping one face is shorter than the wait for the GIL if another thread takes it; that
    // thread runs during inference anyway.
    std::optional<GilRelease> release;
    if (count > 1) release.emplace();
    g_isa->crop_face(frame, transform_data, count, params, result_data, thread_workspace());
  }
  return std::move(result);
}

py::object normalize(py::handle pixels, py::handle mean, py::handle std, py::handle out) {
  const ByteArray images = check_images(pixels);
  const NormalizeParams params = check_normalize(mean, std);
  FloatArray result = check_out(out, {images.shape(0), 3, images.shape(1), images.shape(2)});
  const uint8_t* data = images.data();
  float* result_data = result.mutable_data();
  const int64_t count = images.shape(0),
                plane_px = static_cast<int64_t>(images.shape(1)) * images.shape(2);
  {
    const GilRelease release;
    g_isa->normalize(data, count, plane_px, params, result_data);
  }
  return std::move(result);
}

// The GIL is owner: the graph layer of a few faces takes less time than releasing and reacquiring
// it.
py::object au_gcn(py::handle nodes, const PackedGraph& graph, py::handle out) {
  const FloatArray array = check_nodes(nodes, graph.shape.widths[0]);
  FloatArray result = check_out(out, {array.shape(0), kNodes});
  g_isa->au_gcn(array.data(), array.shape(0), graph.shape, graph.weights.data(),
                result.mutable_data(), thread_workspace());
  return std::move(result);
}

void copy_padded(const FloatArray& from, int rows, int columns, float* to) {
  for (int i = 0; i < rows; ++i)
    std::memcpy(to + static_cast<int64_t>(i) * padded(columns),
                from.data() + static_cast<int64_t>(i) * columns,
                sizeof(float) * static_cast<size_t>(columns));
}

// Shapes are validated by GcnWeights; these limits are those of the kernels.
PackedGraph pack_graph(const FloatArray& adjacency, const std::vector<FloatArray>& weights,
                       const std::vector<FloatArray>& biases, const FloatArray& readout,
                       const FloatArray& readout_bias) {
  PackedGraph graph = {};
  graph.shape.layers = static_cast<int>(weights.size());
  const bool too_deep = graph.shape.layers > kMaxLayers;
  graph.shape.widths[0] =
      static_cast<int>(weights.empty() ? readout.shape(1) : weights[0].shape(0));
  bool too_wide = graph.shape.widths[0] > kMaxWidth;
  for (int i = 0; !too_deep && i < graph.shape.layers; ++i) {
    graph.shape.widths[i + 1] = static_cast<int>(weights[static_cast<size_t>(i)].shape(1));
    too_wide = too_wide || graph.shape.widths[i + 1] > kMaxWidth;
  }
  if (too_deep || too_wide)
    throw py::value_error("graph must have at most 8 layers of at most 512 features");
  graph.weights.assign(static_cast<size_t>(graph_size(graph.shape)), 0.0f);
  float* to = graph.weights.data();
  copy_padded(adjacency, kNodes, kNodes, to);
  for (int i = 0; i < graph.shape.layers; ++i) {
    const int width_in = graph.shape.widths[i], width_out = graph.shape.widths[i + 1];
    float* layer = to + layer_offset(graph.shape, i);
    copy_padded(weights[static_cast<size_t>(i)], width_in, width_out, layer);
    copy_padded(biases[static_cast<size_t>(i)], 1, width_out,
                layer + static_cast<int64_t>(width_in) * padded(width_out));
  }
  const int last = graph.shape.widths[graph.shape.layers];
  copy_padded(readout, kNodes, last, to + readout_offset(graph.shape));
  copy_padded(readout_bias, 1, kNodes, to + readout_offset(graph.shape) + kNodes * padded(last));
  return graph;
}

// See pack_upload.h; `block` is the address of writable host memory of `capacity` bytes. Returns
// the bytes needed.
size_t pack_frame_upload(py::handle pixels, py::handle pixel_format, py::handle crop_to_frame,
                         int slots, int size_px, uintptr_t block, uintptr_t device, size_t capacity,
                         py::handle color) {
  py::object owner;
  FrameView frame = view_frame(pixels, pixel_format, &owner);
  read_color(color, &frame);
  const FloatArray transforms = check_transforms(crop_to_frame);
  if (transforms.shape(0) < 1 || transforms.shape(0) > slots)
    throw py::value_error(
        "slots must be at least the number of faces, which must be at least 1; got " +
        std::to_string(slots) + " for " + std::to_string(transforms.shape(0)));
  return pack_upload(frame, transforms.data(), static_cast<int>(transforms.shape(0)), slots,
                     size_px, false, reinterpret_cast<uint8_t*>(block), device, capacity);
}

}  // namespace

PYBIND11_MODULE(_native, m) {
  use_isa("");
  m.def("use_isa", &use_isa);
  m.def("chosen_isa", [] { return g_isa->name; });
  m.def("compiled_isas", [] { return names_of_sets(false); });
  m.def("usable_isas", [] { return names_of_sets(true); });
  m.def("crop_face", &crop_face, py::arg("planes"), py::arg("pixel_format"),
        py::arg("crop_to_frame"), py::arg("size_px"), py::arg("mean"), py::arg("std"),
        py::arg("out"), py::arg("color") = py::none());
  m.def("normalize", &normalize);
  m.def("au_gcn", &au_gcn);
  m.def("pack_graph", &pack_graph);
  py::class_<PackedGraph>(m, "PackedGraph")
      .def("flat",
           [](const PackedGraph& g) {
             return FloatArray(static_cast<py::ssize_t>(g.weights.size()), g.weights.data());
           })
      .def_property_readonly("widths", [](const PackedGraph& g) {
        return std::vector<int>(g.shape.widths, g.shape.widths + g.shape.layers + 1);
      });
  m.def("pack_upload", &pack_frame_upload, py::arg("planes"), py::arg("pixel_format"),
        py::arg("crop_to_frame"), py::arg("slots"), py::arg("size_px"), py::arg("block"),
        py::arg("device"), py::arg("capacity"), py::arg("color") = py::none());
  bind_face_steps(m);
  m.attr("face_job_bytes") = sizeof(FaceJob);
#if defined(FACEAFFECT_HAS_CUDA)
  m.attr("has_cuda") = true;
  m.attr("cuda_architectures") = FACEAFFECT_CUDA_ARCHITECTURES;
  bind_cuda_resources(m);
  bind_cuda_kernels(m);
#else
  m.attr("has_cuda") = false;
  m.attr("cuda_architectures") = "";
#endif
}

}  // namespace faceaffect
