#include "cuda_kernels.h"

#include <pybind11/stl.h>

#if defined(FACEAFFECT_HAS_CUDA)
#include "check_cuda.h"
#include "cuda_launch.h"
#endif

namespace faceaffect {

#if defined(FACEAFFECT_HAS_CUDA)

namespace {

// Device addresses travel as whole numbers.
template <typename T>
T* address(uintptr_t value) {
  return reinterpret_cast<T*>(value);
}

void require_device() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0)
    throw std::runtime_error(std::string("a CUDA kernel needs an NVIDIA GPU and its driver, got: ") +
                             (status != cudaSuccess ? cudaGetErrorString(status) : "no device"));
}

// frame: (address, row stride in bytes, height_px, width_px, layout 0..3 as BGR, RGB, GRAY, NV12, chroma address)
void launch_crop_face(const std::tuple<uintptr_t, int64_t, int, int, int, uintptr_t>& frame, uintptr_t crop_to_frame,
                      int count, int size_px, py::handle mean, py::handle std, uintptr_t out, uintptr_t stream) {
  const auto& [data, stride, height, width, layout_number, chroma] = frame;
  if (layout_number < 0 || layout_number > 3 || height < 1 || width < 1)
    throw py::value_error("frame must have a layout from 0 to 3 and at least one pixel");
  const auto layout = static_cast<Layout>(layout_number);
  const bool colour = layout == Layout::BGR || layout == Layout::RGB;
  FrameView view = {{address<const uint8_t>(data), stride, width, height, colour ? 3 : 1}, {}, layout};
  if (layout == Layout::NV12)
    view.chroma = {address<const uint8_t>(chroma), stride, width / 2, height / 2, 2};
  const CropParams params = {size_px, check_normalise(mean, std)};
  require_device();
  crop_face_cuda(view, address<const float>(crop_to_frame), count, params, address<float>(out), address<void>(stream));
}

void launch_normalise(uintptr_t pixels, int64_t count, int64_t plane_px, py::handle mean, py::handle std, uintptr_t out,
                      uintptr_t stream) {
  const NormaliseParams params = check_normalise(mean, std);
  require_device();
  normalise_cuda(address<const uint8_t>(pixels), count, plane_px, params, address<float>(out), address<void>(stream));
}

// weights: PackedGraph.flat() in device memory; widths: PackedGraph.widths
void launch_au_graph(uintptr_t nodes, int64_t count, const std::vector<int>& widths, uintptr_t weights, uintptr_t out,
                     uintptr_t stream) {
  if (widths.empty() || widths.size() > kMaxLayers + 1)
    throw py::value_error("widths must hold 1 to 9 numbers, got " + std::to_string(widths.size()));
  GraphShape shape = {static_cast<int>(widths.size()) - 1, {}};
  for (size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] < 1 || widths[i] > kMaxWidth)
      throw py::value_error("widths must be from 1 to 512, got " + std::to_string(widths[i]));
    shape.widths[i] = widths[i];
  }
  require_device();
  au_graph_cuda(address<const float>(nodes), count, shape, address<const float>(weights), address<float>(out),
                address<void>(stream));
}

}  // namespace

void bind_cuda_kernels(py::module_& m) {
  m.attr("has_cuda") = true;
  m.attr("cuda_architectures") = FACEAFFECT_CUDA_ARCHITECTURES;
  m.def("crop_face_cuda", &launch_crop_face);
  m.def("normalise_cuda", &launch_normalise);
  m.def("au_graph_cuda", &launch_au_graph);
}

#else

void bind_cuda_kernels(py::module_& m) {
  m.attr("has_cuda") = false;
  m.attr("cuda_architectures") = "";
}

#endif

}  // namespace faceaffect
